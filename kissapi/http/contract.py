"""Contract: which parts of the parser contract a parser class has, looked up once, when a server starts.

This is all a parser must have:

    class MyParser:
        def __init__(self, request): ...    # a fresh request, of `request_class`
        def feed_data(self, data): ...      # bytes as they come; sets request.method, request.path …
        finished = False                    # True when the message is complete; no more data is fed then

What it may have besides:

    unread = b""                     # bytes behind this message: they are the start of the next (pipelining)
    def should_keep_alive(self): ... # whether the connection goes on; without it, HTTP's rule
    def feed_eof(self): ...          # the client sends no more; the message may be complete now
    def encode(self, response): ...  # the bytes of the answer (a `Response`); without it, HTTP/1.1
    def encode_result(self, result): # beside `encode`: the bytes of what a handler returned, if no Response
    def encode_piece(self, piece):   # beside `encode`: the bytes of a piece of a stream, or of a push
    def encode_end(self):            # beside `encode_piece`: the bytes behind the last piece of a stream
    def greeting(self): ...          # the bytes that the server sends before it reads; on the first parser
    link_class = Link                # is made for each client: `request.link`; see `kissapi.http.link`
    def reset(self, request): ...    # start over with the next message; without it, a new parser is made
    limits                           # is set to the server's `Limits` before the first byte
    begun = True                     # False until the message begins: blank lines may come before it
    in_body = True                   # False while the head is not complete
    expects_continue = False         # True while the client waits for `100 Continue` before it sends the body
    def limit_body(self, most): ...  # while in_body: the route allows so many bytes; Fail(413) if more come
    def take_body(self): ...         # while in_body: what has come of it; without it, no route can stream one
    def body_left(self): ...         # while in_body: how many bytes are yet to come; infinity if unknown

An exception answers 400, a `Fail` with its status. Both end the connection, unless the parser has set
`finished` and `unread` before: then it is known where the next message begins. A class that does not inherit
from `Parser` below gets the rest of the contract from there. `_finished` is an older name of `finished`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi import core
from kissapi.http.link import Link

if TYPE_CHECKING:
    from kissapi.http.limits import Limits
    from kissapi.http.request import Request


class Parser(core.Parser):
    """What the core asks of a parser, and what HTTP's bodies ask besides."""

    __slots__ = ()

    in_body = True
    expects_continue = False

    def limit_body(self, most: int) -> None:
        """While `in_body`: the route takes `most` bytes. Raises `Fail(413)` if more come."""


class Contract:
    """What the parsers that `make` makes can do. Raises `TypeError` for what is no parser."""

    __slots__ = (
        "encodes",
        "encodes_pieces",
        "encodes_results",
        "greets",
        "keeps_alive",
        "link_class",
        "make",
        "name",
        "streams",
        "takes_bodies",
        "takes_limits",
    )

    def __init__(self, parser_class: Callable[[Request], Any], request: Request, limits: Limits) -> None:
        request._connection = None  # a request class that forbids it would fail at every request
        sample = parser_class(request)  # for `parser_class` may be a function
        for name, other in (("finished", "_finished"), ("feed_data", "feed_data")):
            if not hasattr(sample, name) and not hasattr(sample, other):
                raise TypeError(
                    f"{type(sample).__name__} is no parser: it has no {name}; see kissapi/http/contract.py"
                )
        self.name = type(sample).__name__
        self.takes_limits = hasattr(sample, "limits")
        inherited = getattr(type(sample), "should_keep_alive", None) is Parser.should_keep_alive
        self.keeps_alive = hasattr(sample, "should_keep_alive") and not inherited
        # A message has no route before its head is complete, and only `in_body` tells when that is.
        tells = not getattr(sample, "in_body", True)
        self.streams = tells and hasattr(sample, "take_body") and hasattr(sample, "body_left")
        self.takes_bodies = self.streams or (tells and hasattr(sample, "limit_body"))
        self.encodes = hasattr(sample, "encode")
        self.encodes_results = self.encodes and hasattr(sample, "encode_result")
        self.encodes_pieces = self.encodes and hasattr(sample, "encode_piece")
        self.greets = hasattr(sample, "greeting")
        self.link_class = getattr(sample, "link_class", None)
        if self.link_class is not None and not (
            isinstance(self.link_class, type) and issubclass(self.link_class, Link)
        ):
            raise TypeError(f"link_class is a subclass of kissapi.Link, not {self.link_class!r}")
        make: Callable[[Any], Any] = parser_class
        whole = isinstance(sample, Parser) and type(sample).reset is not Parser.reset
        if not whole or not _has_own_finished(sample):
            wholes: dict[type, type] = {}  # a function may make parsers of several classes

            def make(request: Any) -> Any:
                parser = parser_class(request)
                kind = type(parser)
                if kind not in wholes:
                    wholes[kind] = _whole(self, kind, not _has_own_finished(parser))
                parser.__class__ = wholes[kind]
                return parser

        def make_limited(request: Any) -> Any:
            parser = make(request)
            parser.limits = limits
            return parser

        self.make: Callable[[Any], Any] = make_limited if self.takes_limits else make


def _has_own_finished(sample: Any) -> bool:
    """Whether a parser sets `finished`; else `_finished`, or it leaves the default to the base."""
    own = [vars(kind) for kind in type(sample).__mro__ if kind not in (core.Parser, Parser)]
    return any("finished" in names for names in (*own, getattr(sample, "__dict__", ())))


def _whole(contract: Contract, kind: type, older: bool) -> type:
    """`kind` with the rest of the contract; if it has no `reset`, a parser is made for each message.

    An `older` one sets `_finished`: `finished` is another name of that.
    """
    own_reset = getattr(kind, "reset", Parser.reset)

    def reset(parser: Any, request: Any) -> Any:
        if own_reset is Parser.reset:
            return contract.make(request)
        return own_reset(parser, request) or parser

    members = {
        "__slots__": (),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "reset": reset,
    }
    if older:
        members["finished"] = property(
            lambda parser: getattr(parser, "_finished", False),
            lambda parser, finished: setattr(parser, "_finished", finished),
        )
    return type(kind.__name__, (kind,) if issubclass(kind, Parser) else (kind, Parser), members)

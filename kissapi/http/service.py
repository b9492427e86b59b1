"""Service: HTTP's part in a request: parser contract, limits, bodies in pieces, errors, the access log.

There is one per event loop, used only in its thread. What does not change from request to request is computed
once, in `__init__`. A running server makes it and stops it; the backends make its connections.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from kissapi.backends import client_socket
from kissapi.core import BUSY, SENT, Fail
from kissapi.http import json_codec
from kissapi.http.body_reader import CONTINUE, BodyReader
from kissapi.http.contract import Contract
from kissapi.http.encoder import Refused, close_unsent, encoder_for
from kissapi.http.json_library import current
from kissapi.http.pieces import encoded_by
from kissapi.http.request import Request
from kissapi.http.response import Response
from kissapi.http.roster import Roster
from kissapi.http.server_headers import ServerHeaders
from kissapi.http.words import name_of

if TYPE_CHECKING:
    from kissapi.http.connection import Connection
    from kissapi.http.interfaces import Log, Routes
    from kissapi.http.json_library import JsonLibrary
    from kissapi.http.limits import Limits

_OF_A_BODY = (404, 405, 408, 413)  # refusals that come after a well-formed head, before the body is complete
SLOW = 0.1  # seconds that a handler may block the loop before a warning names it: other clients notice more


class Service(Roster):
    """What every `Connection` of one loop uses, from a request to its line in the access log.

    `dispatch` is made in the thread of its loop, see `kissapi.routing.dispatch`. `headers` are added to every
    answer that HTTP encodes.
    """

    def __init__(
        self,
        *,
        loop: Any,
        spawn: Callable[..., Any],
        dispatch: Routes,
        parser_class: Callable[[Request], Any],
        request_class: type[Request],
        limits: Limits,
        log: Log,
        headers: ServerHeaders | None = None,
        access_log: bool = True,
        clock: Callable[[], float] = time.perf_counter,
        context: Any = None,
        json: JsonLibrary | None = None,
    ) -> None:
        # Without an `__init__` or `__new__` of a subclass, no Python function is called to make a request.
        plain = (
            type(request_class) is type
            and request_class.__init__ is Request.__init__
            and request_class.__new__ is object.__new__
        )
        make_request: Any = partial(object.__new__, request_class) if plain else request_class
        # The parser enforces the largest limit of any route; the routes enforce their own.
        self.contract = Contract(parser_class, make_request(), limits.with_max_body(dispatch.max_body))
        super().__init__(
            dispatch,
            self.contract.make,
            loop=loop,
            spawn=spawn,
            limits=limits,
            log=log,
            headers=ServerHeaders() if headers is None else headers,
            clock=clock,
            context=context,
        )
        self.make_request = make_request
        self.json = json  # None: `json_codec`
        self.to_json = json_codec.to_json if json is None else json.encode
        self.begin_with(self.context)
        self.encode = encoder_for(self.contract)  # type: ignore[method-assign,assignment]
        if self.contract.greets or self.contract.link_class is not None:
            self.welcome = self._welcome
        self.slow = SLOW
        self.answered = [] if access_log else None
        self._warned: set[str] = set()

    def begin_with(self, context: Any) -> None:
        """Requests begin with a copy of `context`, and with the JSON library of this service."""
        self.context = context.copy()
        self.context.run(current.set, self.json)

    def run(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """`function(argument)`, which may make JSON, outside of a handler."""
        if self.json is None:
            return function(argument)
        return self.context.copy().run(function, argument)

    def _welcome(self, connection: Connection) -> None:
        """Make the link and the first parser of `connection`, which has begun, and greet the client."""
        request: Any = self.make_request()
        request._connection = connection
        try:
            link_class = self.contract.link_class
            connection.link = None if link_class is None else link_class()
            connection.parser = parser = self.make_parser(request)
            if connection.link is not None:
                connection.link.begin(connection, request.client)
            greeting = encoded_by(parser, "greeting") if self.contract.greets else b""
        except Exception as error:
            if connection.parser is None or not isinstance(error, Fail):
                self.log.error(f"{self.contract.name} cannot welcome a client", error)
                connection.abort("failed")
                return
            connection.request = request
            connection.received_at = self.clock()
            connection.refuse(error)
            return
        if greeting:
            connection.transport.write(greeting)

    # A message that goes on in a later read

    def unfinished(self, connection: Connection, request: Any, size: int) -> None:
        super().unfinished(connection, request, size)
        parser, limits, contract = connection.parser, self.limits, self.contract
        if not parser.begun:
            return
        if not request._received:
            connection.since = connection.sent_until = self.clock()
        request._received += size
        connection.count_received(size)
        # A parser with `limits` counts the body itself. These are bytes on the wire, where a chunk of one
        # byte takes six: hence × 8. The route may allow more than the server, and is not known before the end
        # of the head: hence the largest limit of any route.
        most = limits.max_head + (self.dispatch.max_body * 8 if contract.takes_limits else limits.max_body)
        if request._received > most:
            raise Fail(413, f"Content Too Large: a message may have {most} bytes")
        if parser.in_body and (parser.expects_continue or (self.dispatch.rules and contract.takes_bodies)):
            endpoint = self._find(request)
            parser.limit_body(limits.max_body if endpoint is None else endpoint.max_body)
            route = None if endpoint is None else endpoint.route
            if route is not None and route.stream and contract.streams:
                self._start(connection, request)
                return
            if parser.expects_continue:
                if endpoint is None:
                    # This raises the 404 or 405, so that the client does not send the body.
                    self.dispatch.find(request)
                parser.expects_continue = False
                connection.transport.write(CONTINUE)
        connection.yield_turn(size)

    def _find(self, request: Any) -> Any:
        if request.route is None:
            try:
                request.route = self.dispatch.find(request)
            except Fail:
                pass  # `Dispatch.handle` raises it again when the message is complete
        return request.route

    def _start(self, connection: Connection, request: Any) -> None:
        """Start a handler that reads the body while it comes."""
        reader = request._reader = BodyReader(connection)
        reader.put(connection.parser.take_body())
        connection.context = self.context.copy()
        connection.become(BUSY)
        connection.wait_for(self.spawn(self.handle(request), connection.context))

    # Refusals, errors, and the end of an answer

    def refuse(self, request: Any, error: BaseException) -> Any:
        connection = request._connection
        connection.context = self.context.copy()  # there is none yet: no handler has been started
        parser = connection.parser
        if not isinstance(error, Fail):
            self.log.warning(f"{type(parser).__name__} cannot read a message: {error!r}")
            error = Fail(400, "Bad Request")
        in_body = parser is not None and parser.in_body and self.contract.takes_bodies
        if in_body and error.status in _OF_A_BODY:
            self._find(request)  # the head is well-formed: the cover of its route answers
            return self.failure(request, error)
        for name in ("method", "path"):
            request.__dict__.setdefault(name, "-")  # if it was not parsed: the log would say "GET /"
        request._asked = True  # a message that cannot be parsed goes to no router
        return self.failure(request, error)

    def failure(self, request: Any, error: BaseException) -> Any:
        if not request._asked and isinstance(error, Exception):
            cover = self.dispatch.cover_for(request)
            if cover is not None:
                return Refused(cover, error)
        return super().failure(request, error)

    def report(self, request: Any, error: BaseException) -> None:
        self.log.failure(request, self.handler_name(request), error)

    def flushed(self, connection: Connection, now: float) -> None:
        if self.answered:
            self.log.answered(self.answered, now)
        if connection.after_calls:
            after_calls, connection.after_calls = connection.after_calls, None
            for after in after_calls:
                if after[0] is connection.request:
                    connection.after_calls = [*(connection.after_calls or ()), after]
                else:
                    self.run_after(*after)

    def unanswered(self, connection: Any, request: Any, task: Any) -> None:
        context, connection.context = connection.context, None  # no cycle: it may hold the request
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            result = task.result()
            if result is SENT:
                # The whole answer was sent, or another protocol has the connection now.
                if self.answered or connection.after_calls:
                    self.flushed(connection, self.clock())
                return
            if isinstance(result, Response):
                close_unsent(connection, request, result.body, context)
        self._lose(connection, request, error, connection.abort_reason or "client left")

    def cut(self, connection: Any, request: Any, error: BaseException) -> None:
        self._lose(connection, request, error, "cut short")
        client_socket.reset(connection.transport)

    def _lose(self, connection: Any, request: Any, error: BaseException | None, why: str) -> None:
        request._outcome = why
        if isinstance(error, Fail):
            error.__traceback__ = None  # as in `core.Service.failure`
        elif error is not None:
            self.report(request, error)
        if self.answered is not None:
            self.log.unanswered(request, why, self.clock() - connection.received_at)
        after_calls, connection.after_calls = connection.after_calls, None
        for after in after_calls or ():
            if after[2] is None:  # it is due however the answer ends
                self.run_after(*after)

    def warn_slow(self, request: Any, seconds: float) -> None:
        """A handler, or a hook, has blocked the loop: warn, once for each handler."""
        name = self.handler_name(request)
        if name != "the router" and name not in self._warned:
            self._warned.add(name)
            route = request.route.route
            hooks = ", ".join(name_of(hook) for hook in (*route.arounds, *route.before, *route.after))
            # In a copy of its context, so that the line bears its id.
            (request._connection.context or self.context).copy().run(
                self.log.warning,
                f"handler {name}{f' or one of its hooks ({hooks})' if hooks else ''} "
                f"held up the loop for {seconds * 1000:.0f} ms: "
                "make it a plain def, or await to_thread(…) for what blocks",
            )

    def handler_name(self, request: Any) -> str:
        """The name of the handler of `request`, for people."""
        route = request.route.route if request.route is not None else None
        return name_of(route.handler) if route is not None else "the router"

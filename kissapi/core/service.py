"""Service: what the connections of one event loop share, and the seams by which a server adds to the core.

There is one per event loop, used only in its thread. What does not change from request to request is computed
once, in `__init__`. A server replaces methods of `Service`; all of them but `encode` are off the hot path.
"""

from __future__ import annotations

from typing import Any

from kissapi.core.fail import Fail
from kissapi.core.message import Request


class Service:
    """What every `Connection` of one loop uses.

    `handle(request)` gives the coroutine that answers it: `Dispatch.handle`, or a function of one's own.
    `spawn(coroutine, context)` makes a task; where the loop can do that, its first step has run when it
    returns. `clock()` gives seconds. Each request has a copy of `context` for its context variables.
    `make_parser(request)` makes the first parser of a connection; see `Parser`.
    """

    slow = float("inf")  # seconds that a handler may block the loop before `warn_slow` is called

    def __init__(
        self, handle: Any, make_parser: Any, *, loop: Any, spawn: Any, clock: Any, context: Any
    ) -> None:
        self.handle = handle
        self.make_request: Any = Request
        self.make_parser = make_parser
        self.loop = loop
        self.spawn = spawn
        self.clock = clock
        self.context = context
        self.connections: set[Any] = set()
        # The answers that the next flush sends; None without an access log.
        self.answered: list[Any] | None = None
        self.stopping = False  # every answer is the last of its connection

    def add(self, connection: Any) -> None:
        """A client has connected."""
        self.connections.add(connection)

    def remove(self, connection: Any) -> None:
        """A connection has ended."""
        self.connections.discard(connection)

    def unfinished(self, connection: Any, request: Request, size: int) -> None:
        """A message is incomplete after a read of `size` bytes. If `size` is 0, the client sends no more.

        The place for size limits, and for handlers that take a body while it comes. Raises `Fail` to refuse
        the message.
        """
        if not size:
            raise Fail(400, "Bad Request: the request ends before it is complete")

    def encode(self, connection: Any, request: Request, result: Any) -> Any:
        """The answer to `request`: bytes, or a sender, which is a coroutine function of the connection.

        A sender writes by `connection.write`, waits by `connection.drained`, and returns `SENT`. If it
        returns something else, that is the result to encode. What it raises before its first byte is answered
        as what a handler raises.
        """
        raise NotImplementedError("a protocol has an encode")

    def flushed(self, connection: Any, now: float) -> None:
        """Answers went out, and `answered` or `connection.after_calls` has entries: log them, call them."""

    def refuse(self, request: Request, error: BaseException) -> Any:
        """The result that answers a message which cannot be parsed; it is the last of the connection."""
        return self.failure(request, error if isinstance(error, Fail) else Fail(400))

    def failure(self, request: Request, error: BaseException) -> Any:
        """The result that answers an exception of a handler, a hook or an encoder; reports all but `Fail`."""
        if isinstance(error, Fail):
            # A Fail that is raised many times would keep every frame, and so would its cause and context.
            error.__traceback__ = None
            error.__context__ = None
            error.__cause__ = None
            return error
        self.report(request, error)
        return Fail(500)

    def report(self, request: Request, error: BaseException) -> None:
        """`error` is a bug of the app: a server logs it."""

    def cancel(self, task: Any) -> None:
        """Cancel `task`: the client has left."""
        task.cancel()

    def unanswered(self, connection: Any, request: Request, task: Any) -> None:
        """`task` is done, and its connection ended before it was."""

    def cut(self, connection: Any, request: Request, error: BaseException) -> None:
        """A sender has failed in the middle: end so that an incomplete answer does not look complete."""
        self.report(request, error)
        connection.transport.abort()

    def warn_slow(self, request: Request, seconds: float) -> None:
        """A handler has blocked the loop for `seconds`."""

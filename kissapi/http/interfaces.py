"""Interfaces: what HTTP asks of the log and the routes, a sender of its connection, a request of its body.

Each is a `typing.Protocol`: what implements it need not import this file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Protocol


class Log(Protocol):
    """The log of one event loop: `kissapi.log.Log` and its subclasses."""

    def tick(self) -> None:
        """A tick of the clock: read the time, write what is due."""

    def info(self, text: str) -> None:
        """Something that is as it should be."""

    def warning(self, text: str) -> None:
        """Something that the operator should see."""

    def error(self, text: str, error: BaseException | None = None) -> None:
        """`text`, with the traceback of `error`."""

    def failure(self, request: Any, name: str, error: BaseException) -> None:
        """The function `name` has raised `error` while it was at work on `request`."""

    def answered(self, answers: list[Any], now: float) -> None:
        """Take (request, status, bytes of the body, when it came) out of `answers`, for the access log."""

    def unanswered(self, request: Any, why: str, seconds: float) -> None:
        """`request` got no answer, or not a whole one."""

    def flush(self) -> None:
        """Write what has been gathered."""

    def finish(self) -> None:
        """Write the last lines; the server ends."""


class Outlet(Protocol):
    """What the sender of an answer knows of the connection: `kissapi.http.connection.Connection`."""

    service: Any  # `Roster`: `tail` and its siblings, `answered`, `stopping`
    close_after: bool  # whether the connection ends with this answer
    take: Any  # None if the body of the request has come to its end
    eof: bool  # whether the client sends no more
    writable: bool  # False under back-pressure
    on_eof: tuple[Callable[[], object], ...]
    on_stop: tuple[Callable[[], object], ...]
    received_at: float
    task: Any  # the sender, at work

    @property
    def takes(self) -> bool:
        """Whether the client is there, and takes what it is sent."""

    @property
    def gone(self) -> bool:
        """Whether the client has left, or the server has ended the connection."""

    def forget(self, function: Callable[[], object]) -> None:
        """Call `function` no more: it is in `on_eof`, in `on_stop` or in neither."""

    def write(self, data: bytes) -> None:
        """Send the next bytes of the answer."""

    async def drained(self) -> None:
        """Wait until the client has taken most of what was sent."""

    def plain_socket(self) -> Any:
        """The client's socket; None if the connection is encrypted."""

    def unsent_size(self) -> int:
        """Bytes that the transport has yet to send."""

    def pause_writing(self) -> None:
        """From now on the sender writes to the socket itself."""

    def resume_writing(self) -> None:
        """The transport writes again."""

    def progress(self, size: int) -> None:
        """The client has taken `size` bytes."""


class Body(Protocol):
    """The body of a request that is taken as it comes: `kissapi.http.body_reader.BodyReader`."""

    ended: bool  # whether no more will come
    total: int  # bytes of it that have come

    @property
    def done(self) -> bool:
        """Whether all of it has come and been taken."""

    async def piece(self) -> bytes:
        """The next bytes, b"" after the last. Raises `Fail` if the rest does not come."""

    def stream(self) -> AsyncIterator[bytes]:
        """The pieces. Raises `Fail` if the rest does not come, `RuntimeError` the second time."""

    def end(self, error: Exception | None = None) -> None:
        """No more will come, because of `error` if there is one."""

    def invite(self) -> None:
        """Let a client that waits for `100 Continue` send the body."""

    async def finish(self) -> None:
        """Read and drop what is left, if that is little."""


class Cover(Protocol):
    """The arounds and error handlers of a route, or of a place without one: `kissapi.http.cover.Cover`."""

    async def run(self, call: Any, request: Any, error: BaseException | None = None) -> Any:
        """The answer of `call`, or to `error` if that has been raised already."""


class Routes(Protocol):
    """The compiled routes of a server: `kissapi.routing.dispatch.Dispatch`."""

    max_body: int  # the largest body that any of them takes, in bytes
    rules: bool  # whether some have a limit of their own, or take bodies as they come
    gives_tasks: bool  # whether `handle` may give a task that runs already, in place of a coroutine

    def handle(self, request: Any) -> Coroutine[Any, Any, Any]:
        """The coroutine that answers `request`. Raises `Fail` if no route matches."""

    def find(self, request: Any) -> Any:
        """The `kissapi.routing.dispatch.Endpoint` of `request`; sets its parameters. Raises `Fail`."""

    def url_for(self, name: Any, values: Mapping[str, Any], request: Any) -> str:
        """The path of the route `name`, seen from `request`."""

    def cover_for(self, request: Any) -> Cover | None:
        """The arounds and error handlers for `request`, though it may lead to no route; None without any."""

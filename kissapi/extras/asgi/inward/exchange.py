"""Exchange: one HTTP request to an ASGI app, and its answer.

The app runs in a task of its own, which a client that leaves does not cancel: the app hears
`http.disconnect`, and `send` raises `ClientGone`. The connection waits for the answer, not for the end of the
app: what the app does afterwards (background tasks) goes on beside the next request, and the server waits for
it when it stops.
"""

from __future__ import annotations

from collections.abc import Generator
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from kissapi.backends import client_socket
from kissapi.core import CLOSED, Fail
from kissapi.extras.asgi.inward.answer import ENOUGH, Answer, ClientGone, Dropped
from kissapi.extras.asgi.inward.scope import http_scope

if TYPE_CHECKING:
    from kissapi.extras.asgi.inward.lifespan import Lifespan
    from kissapi.http.response import Response


class Exchange(Answer):
    """To the connection it is a task, done once there is an answer, or a part of it; hooks await it.

    Two tasks for each request, one of them for the app, took 1.3 µs more.
    """

    __slots__ = ("_heard", "_told")

    def start(self, life: Lifespan, context: Any) -> Exchange:
        """Start the app: where tasks are eager, it has come to its first wait then."""
        self._heard = False  # whether the app has had the whole body of the request
        self._told = False  # whether it has heard that the client has left
        service = self._connection.service
        work = life.app(http_scope(self.request, life.state), self.receive, self.send)
        task = service.new_task(work if type(work) is CoroutineType else _awaited(work), context)
        if task.done():
            try:
                task.result()
            except BaseException:
                self._app_ended(task)
            else:
                if not self.complete:
                    self._app_ended(task)
        else:
            service.background.add(task)
            task.add_done_callback(self._app_ended)
        return self

    # The task

    def cancelled(self) -> bool:
        return self.gone

    def exception(self) -> BaseException | None:
        return self._error

    def result(self) -> Exchange:
        if self._error is not None:
            self.check()
        return self

    def cancel(self) -> None:
        """The client has left, or the server ends: the app hears of it, and goes on."""
        self.leave()

    def __await__(self) -> Generator[Any, Any, Response]:
        return self._answered().__await__()

    async def _answered(self) -> Response:
        try:
            while not self.done():
                await self.change()
        except BaseException:
            self.leave()
            raise
        self.check()
        return self.response()

    def leave(self) -> None:
        reader = self.request._reader
        if reader is not None and not reader.ended:
            reader.end(Fail(400))
        super().leave()

    # The app

    async def receive(self) -> dict[str, Any]:
        """The next event for the app: the body of the request, or a piece of it; then the disconnect."""
        if not self._heard:
            reader = self.request._reader
            if reader is None:
                self._heard = True
                return {"type": "http.request", "body": self.request.body, "more_body": False}
            if not self.gone and not self.complete:
                return await self._receive_piece(reader)
        connection = self._connection
        # A client that sends no more has mostly left. One that has not still gets what is sent.
        while not (self.complete or self.failed or self.gone or connection.eof):
            connection.service.loop.call_soon(self._read_on)  # a pipelined request may be about to pause it
            connection.on_eof += (self.changed,)
            try:
                await self.change()
            finally:
                connection.forget(self.changed)
        self._told = True
        return {"type": "http.disconnect"}

    def _read_on(self) -> None:
        """Read behind the request in hand: while reading is paused, the end of a client goes unnoticed."""
        connection = self._connection
        in_hand = connection.has_in_hand(self.request) and connection.state is not CLOSED
        if in_hand and len(connection.pending) < ENOUGH:
            connection.resume_reading()

    async def _receive_piece(self, reader: Any) -> dict[str, Any]:
        try:
            body = await reader.piece()
        except Fail as fail:  # too large, too slow, broken off: that is the answer, if there is none yet
            fail.__traceback__ = None  # it has this frame: no cycle
            self._heard = True
            if not self.done():
                self.fail(fail)
            return {"type": "http.disconnect"}
        self._heard = reader.ended and not reader.size and reader.error is None
        return {"type": "http.request", "body": body, "more_body": not self._heard}

    def _app_ended(self, task: Any) -> None:
        service = self._connection.service
        service.background.discard(task)
        error = None if task.cancelled() else task.exception()  # cancelled: the server has stopped
        left = error is None or is_of_leaving(error)
        dropped = isinstance(self._writer, Dropped)
        if self.complete or self.failed or self.gone or dropped:  # no answer is waited for
            if not (left or self.failed):
                service.report(self.request, error)
        elif self._told and left:  # it is no mistake that there is none
            client_socket.reset(self._connection.transport)
        else:
            what = "completed" if self.status else "started"
            self.fail(error or RuntimeError(f"the app has ended, and has not {what} its answer"))


# Starlette's, for what `receive` has told.
_OF_LEAVING = ("ClientDisconnect", "WebSocketDisconnect")


async def _awaited(work: Any) -> None:
    await work


def is_of_leaving(error: BaseException) -> bool:
    """Whether `error` is there because the client has left: frameworks raise others from ours, and groups."""
    todo: list[BaseException | None] = [error]
    seen = set[int]()
    while todo:
        each = todo.pop()
        if isinstance(each, ClientGone) or type(each).__name__ in _OF_LEAVING:
            return True
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            todo += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
    return False

"""HandlerTask: the handler of one WebSocket at work.

It outlives the connection: a handler may clean up after its client has left. The drain of the service waits
for it, as for every task in `background`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from kissapi.extras.websocket.closing import FAILED, NORMAL, Closed

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.http.service import Service


class HandlerTask:
    """Runs a handler, `serve(session)`. `request` opened the WebSocket; it is None after the handler."""

    __slots__ = ("_service", "_timer", "request", "serve", "task")

    def __init__(
        self, service: Service, request: Request, serve: Callable[[Any], Coroutine[Any, Any, Any]]
    ) -> None:
        self._service = service
        self.request: Request | None = request
        self.serve = serve
        self.task: Any = None  # while it runs
        self._timer: Any = None  # cancels a handler that does not notice that the client has left

    def start(self, session: Any, context: Any, on_end: Callable[[Any], object]) -> None:
        """Run the handler, then call `on_end(task)`. What it raises is reported."""
        self.task = self._service.spawn(self._run(session), context)
        # The drain waits for the tasks in `background`, and cancels them after `shutdown_timeout`.
        self._service.background.add(self.task)
        self.task.add_done_callback(self._end)
        self.task.add_done_callback(on_end)

    def cancel_later(self) -> None:
        """The connection is lost: the handler has `shutdown_timeout` seconds to end by itself."""
        if self.task is not None:
            patience = self._service.limits.shutdown_timeout
            self._timer = self._service.loop.call_later(patience, self._service.cancel, self.task)

    async def _run(self, session: Any) -> None:
        code = FAILED
        try:
            await self.serve(session)
            code = NORMAL
        except Closed:
            if not session.closed:  # another WebSocket's, which is a bug of the handler
                raise
        finally:
            session.close(code)

    def _end(self, task: Any) -> None:
        self._service.background.discard(task)
        self.task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        request, self.request = self.request, None
        del self.serve  # it refers to the request, which refers to the connection: no cycle
        error = None if task.cancelled() else task.exception()
        if error is not None and request is not None:
            request._outcome = "cut short"
            self._service.report(request, error)

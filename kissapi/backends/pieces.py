"""Pieces: the pieces of a sync iterator, as an async one. The iterator may block, so a worker thread runs it.

A change of threads costs 40 µs. So a thread goes on drawing for a millisecond, and what is ready then is
handed over together; of an iterator that takes its time, each piece is handed over at once. While the client
does not take what was drawn, the thread is free for others.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from kissapi.backends.awaitables import in_thread, place_of, raised_in, running_loop, submit
from kissapi.backends.clock import clock
from kissapi.backends.threads import copy_context

TOGETHER = 0.001  # seconds
ENOUGH = 64 * 1024  # bytes of pieces that are drawn at once


class Pieces:
    """The pieces of `body`, which runs in the thread of `request`.

    All steps, and the closing, have one thread and one context: a generator can use context variables, and
    what is bound to a thread, as sqlite3 is.
    """

    __slots__ = ("_body", "_closed", "_context", "_drawing", "_drawn", "_hungry", "_place", "_waiter")

    def __init__(self, body: Any, request: Any) -> None:
        self._body = body
        self._context = copy_context()
        self._place = place_of(request)
        self._place.stay()
        self._drawn: deque[Any] = deque()  # pieces, and at the end a `_Raised`
        self._drawing = False  # whether the thread is at work
        self._hungry = False  # whether the next piece is wanted at once
        self._closed = False
        self._waiter: Any = None  # a future that `__anext__` waits for

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> Any:
        while not self._drawn:
            await self._more()
        piece = self._drawn.popleft()
        if type(piece) is _Raised:
            try:
                raise piece.error
            finally:
                del piece  # the error holds this frame: no cycle
        return piece

    async def aclose(self) -> None:
        """Close the iterator in its thread."""
        self._closed = True
        try:
            if hasattr(self._body, "close"):
                await in_thread(self._place, self._context, self._body.close, (), needed=True)
        finally:
            self._place.leave()
            self._drawn.clear()  # an error in it may hold this: no cycle

    async def _more(self) -> None:
        """Wait until there may be a piece."""
        loop = running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(TOGETHER, self._look)
        if not self._drawing:
            self._drawing, self._hungry = True, False
            submit(loop, partial(self._draw, loop), self._place)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _look(self) -> None:
        """The thread has had its time: it may be blocked, behind pieces that are ready."""
        self._hungry = True  # first: a piece that comes now ends the drawing, or is seen here
        if self._drawn:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # In the worker thread

    def _draw(self, loop: Any) -> None:
        try:
            if not self._closed:  # else it was cancelled while this call was in the queue
                self._context.run(self._draw_some)
        finally:
            self._drawing = False
            try:
                loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                pass  # the loop has been closed, and no coroutine waits

    def _draw_some(self) -> None:
        size, until = 0, clock() + TOGETHER
        try:
            while size < ENOUGH:
                piece = next(self._body, _END)
                if piece is _END:
                    self._drawn.append(_Raised(StopAsyncIteration()))
                    return
                self._drawn.append(piece)
                # What else a piece may be can be changed, and filled anew for the next step.
                if type(piece) is not bytes and type(piece) is not str:
                    return
                size += len(piece)
                if self._hungry or self._closed or clock() >= until:
                    return
        except BaseException as error:
            self._drawn.append(_Raised(raised_in(self._body, error)))


_END: Any = object()


class _Raised:
    """In place of a piece: what the iterator has raised, or its end."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

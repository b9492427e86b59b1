"""Server-sent events (WHATWG HTML §9.2): events, sent as they happen; `EventSource` in browsers.

    from kissapi.extras.sse import Event, sse

    @router.get("/ticks")
    async def ticks(req: Request):
        async def each_second():
            for number in itertools.count(int(last_event_id(req) or 0) + 1):
                yield Event({"tick": number}, id=number)
                await kissapi.sleep(1)

        return sse(each_second())

The generator runs in one context, and is interrupted only to end it. Heartbeats come from a timer beside it,
so nothing that it waits for is lost.

When the client leaves, the generator ends where it waits, and its `finally` blocks run. A client that has
left looks the same as one that only sends no more, until it is written to: so it gets a comment, which a
client that has left answers with a reset. When the server stops, the stream ends; browsers reconnect, with
the id of the last event.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop, sleep, to_thread
from kissapi.backends.pieces import Pieces
from kissapi.http.json_library import to_json
from kissapi.http.limits import check_number
from kissapi.http.response import Response

if TYPE_CHECKING:
    from kissapi.http.body_writer import BodyWriter
    from kissapi.http.request import Request

__all__ = ["Event", "last_event_id", "sse"]

FIRST = 0.1  # seconds that the head waits for the first event, where hooks could still answer its error
PROBE = 0.25  # seconds between two comments to a client that sends no more: time for a reset to come
_COMMENT = b":\n\n"
_LINE_END = re.compile("\r\n|\r|\n")
_END = object()


class Event:
    """One event: `data` is text of any number of lines, or a value that becomes JSON.

    `event` is its type, by default "message". A browser that has lost the connection reconnects with the last
    `id`, after `retry` milliseconds. Without `data` the browser dispatches no event, but notes `id` and
    `retry`. Raises `ValueError` for line ends in `event` and `id`, and for a negative `retry`; `TypeError`
    for data that JSON cannot express.

        yield Event({"price": 7}, event="price", id=42)
    """

    __slots__ = ("data", "event", "id", "retry")

    def __init__(
        self,
        data: Any = None,
        *,
        event: str | None = None,
        id: str | int | None = None,  # noqa: A002
        retry: int | None = None,
    ) -> None:
        if event is not None and (not isinstance(event, str) or _LINE_END.search(event)):
            raise ValueError(f"the type of an event is text on one line, not {event!r}")
        if id is not None:
            if isinstance(id, bool) or not isinstance(id, (str, int)):
                raise ValueError(f"the id of an event is text or a number, not {id!r}")
            if re.search("[\0\r\n]", str(id)):  # a browser ignores an id with NUL
                raise ValueError(f"the id of an event may have no line end and no NUL: {id!r}")
        if retry is not None:
            check_number("retry", retry, 0)
        if data is not None and not isinstance(data, str):
            data = data.decode() if isinstance(data, bytes) else to_json(data).decode()
        self.data: str | None = data
        self.event = event
        self.id = None if id is None else str(id)
        self.retry = retry

    def __repr__(self) -> str:
        return f"<Event {self.event or 'message'} id={self.id} {self.data!r}>"

    def encode(self) -> bytes:
        """The event in the format of the stream."""
        fields = (("event", self.event), ("id", self.id), ("retry", self.retry))
        lines = [f"{name}: {value}\n" for name, value in fields if value is not None]
        if self.data is not None:
            lines.extend(f"data: {line}\n" for line in _LINE_END.split(self.data))
        lines.append("\n")
        return "".join(lines).encode()


def sse(
    events: AsyncIterable[Any] | Iterable[Any], *, heartbeat: float | None = 15.0, retry: int | None = None
) -> Response:
    """An answer that sends `events`, a sync or async generator of text, JSON values or `Event`s.

    Without events, a comment is sent every `heartbeat` seconds, so that no proxy takes the connection for
    dead; None: never. Browsers reconnect after `retry` milliseconds. A sync generator runs in a worker
    thread, and may block. Raises `TypeError` for anything but a generator or iterable, `ValueError` for a
    heartbeat that is not above 0.

        return sse(prices(), retry=1000)
    """
    if isinstance(events, (str, bytes, dict)) or not isinstance(events, (AsyncIterable, Iterable)):
        raise TypeError(f"events come from a generator: sse(prices()), not {events!r}")
    # Written so that NaN fails, too.
    if heartbeat is not None and not heartbeat > 0:
        raise ValueError(f"heartbeat is a number of seconds above 0, or None, not {heartbeat!r}")
    return Response(
        Events(events, heartbeat, retry),
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},  # else nginx buffers them
        content_type="text/event-stream",
    )


def last_event_id(request: Request) -> str | None:
    """The id of the last event that the client received before it lost the connection; None for a new one.

    missed = news_after(int(last_event_id(req) or 0))
    """
    return request.headers.get("last-event-id") or None


class Events:
    """The body of the answer: the events, and heartbeats between them. It sends itself."""

    __slots__ = (
        "_begun",
        "_events",
        "_first",
        "_heartbeat",
        "_loop",
        "_retry",
        "_sent_at",
        "_stopping",
        "_timer",
        "_writer",
    )

    def __init__(
        self, events: AsyncIterable[Any] | Iterable[Any], heartbeat: float | None, retry: int | None
    ) -> None:
        self._events: Any = aiter(events) if isinstance(events, AsyncIterable) else iter(events)
        self._heartbeat = heartbeat
        self._retry = Event(retry=retry)
        self._loop: Any = None
        self._writer: Any = None
        self._begun = False
        self._first: Any = None  # a task that waits for the first event; see `begin`
        self._timer: Any = None
        self._sent_at = 0.0  # the time when something was last sent
        self._stopping = False

    async def send_to(self, writer: BodyWriter) -> None:
        """Send all events; see `BodyWriter.run`."""
        self._loop = running_loop()
        self._writer = writer
        if not hasattr(self._events, "__anext__"):
            self._events = Pieces(self._events, writer.request)
        writer.watch(self._probe, self._stop)
        self._open()  # at once: a browser fires `open` when the head comes
        try:
            if writer.stopping:
                return
            if writer.eof:
                self._probe()
            event = await self._first_event()
            while event is not _END and not self._stopping:
                data = (event if isinstance(event, Event) else Event(event)).encode()
                await writer.send(data)
                self._sent_at = self._loop.time()
                event = await anext(self._events, _END)
        except BaseException as error:
            # `_stop` has cancelled the wait for an event; anything else is raised on.
            if not self._stopping or isinstance(error, (Exception, KeyboardInterrupt, SystemExit)):
                raise
        finally:
            self._stop_timer()
            self._writer = None

    async def begin(self, request: Request) -> None:
        """Wait a moment for the first event: what the generator raises until then is answered in full.

        Raises that. An event that comes later is left to `send_to`.
        """
        assert request._connection is not None
        service, context = request._connection.service, request._connection.context
        self._loop = running_loop()
        if not hasattr(self._events, "__anext__"):
            self._events = Pieces(self._events, request)
        if service.stopping:
            return
        come = self._loop.create_future()

        def start() -> None:
            if not come.done():
                self._first = service.spawn(self._next_event(), context)
                self._first.add_done_callback(wake)

        def wake(task: Any = None) -> None:
            if not come.done():
                come.set_result(None)

        # In the next turn: a context that a task is in now cannot be entered again.
        self._loop.call_soon(start)
        timer = self._loop.call_later(FIRST, wake)
        try:
            await come
        finally:
            timer.cancel()
        first = self._first
        if first is not None and first.done() and (first.cancelled() or first.exception() is not None):
            self._first = None
            try:
                first.result()
            finally:
                del first  # the error holds this frame: no cycle

    async def _first_event(self) -> Any:
        """The first event, or `_END`."""
        first, self._first = self._first, None
        try:
            return await (self._next_event() if first is None else first)
        finally:
            del first  # an error that it raises holds this frame: no cycle

    async def _next_event(self) -> Any:
        return await anext(self._events, _END)

    async def aclose(self) -> None:
        """End the generator; its `finally` blocks run."""
        first, self._first = self._first, None
        if first is not None and not first.done():
            first.cancel()
            while not first.done():
                await sleep(0)
        if hasattr(self._events, "aclose"):
            await self._events.aclose()
        elif hasattr(self._events, "close"):
            await to_thread(self._events.close)

    def _open(self) -> None:
        """Send the head, and start the heartbeat."""
        if self._begun:
            return
        self._begun = True
        self._stop_timer()
        if self._retry.retry is None:
            self._writer.send_head()
        else:
            self._writer.put(self._retry.encode())
        self._sent_at = self._loop.time()
        self._start_timer()

    def _start_timer(self) -> None:
        """Set the timer for the next heartbeat."""
        if self._heartbeat is not None:
            wait = self._sent_at + self._heartbeat - self._loop.time()
            self._timer = self._loop.call_later(max(wait, 0.001), self._beat)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        assert self._heartbeat is not None
        if self._loop.time() - self._sent_at > self._heartbeat - 0.001:
            self._comment()
        self._start_timer()

    def _comment(self) -> None:
        if self._writer.writable:
            self._writer.put(_COMMENT)
        self._sent_at = self._loop.time()

    def _probe(self) -> None:
        """The client sends no more: send two comments. If it has left, it answers the first with a reset."""
        self._open()
        self._stop_timer()
        self._comment()
        self._timer = self._loop.call_later(PROBE, self._probe_again)

    def _probe_again(self) -> None:
        """If the first comment was answered with a reset, this write fails, and the connection ends."""
        self._comment()
        self._start_timer()

    def _stop(self) -> None:
        """The server stops: end the generator where it waits."""
        self._stopping = True
        self._open()
        self._writer.cancel()

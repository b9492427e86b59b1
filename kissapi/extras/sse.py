"""Server-sent events (WHATWG HTML §9.2): what a server has to say, as it happens; `EventSource` in a browser.

    from kissapi.extras.sse import Event, sse

    @router.get("/ticks")
    async def ticks(req: Request):
        async def each_second():
            for number in itertools.count(int(last_event_id(req) or 0) + 1):
                yield Event({"tick": number}, id=number)
                await kissapi.sleep(1)

        return sse(each_second())

Law: the generator runs in one task from its first event to its end, and nobody interrupts it but to end it. A
heartbeat is a timer beside it, so nothing it waits for is lost.

When the client leaves, the generator is ended where it waits, and its `finally` runs. One that has closed
looks the same as one that has merely finished sending, until it is written to: it gets a heartbeat then, and
the reset that follows is the answer. When the server stops, the stream ends; browsers come again, with the id
of the last event.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any

from kissapi import codec
from kissapi.awaitables import Pieces, running_loop, to_thread
from kissapi.response import Response

if TYPE_CHECKING:
    from kissapi.body_writer import BodyWriter
    from kissapi.request import Request

FIRST = 0.1  # seconds that the head waits for the first event where an error handler may have an answer
PROBE = 0.25  # seconds between two comments to a client that has closed its side: time for a reset to come
_COMMENT = b":\n\n"
_LINE_END = re.compile("\r\n|\r|\n")
_END = object()


class Event:
    """One event: `data` is text, of any number of lines, or what JSON can say.

    `event` is its type, "message" if it has none. `id` is what a browser that lost the connection comes
    again with; it keeps it until an event has another. `retry` is how long it waits before that, in
    milliseconds.
    Without `data` there is no event, but `id` and `retry` are taken note of. Raises `ValueError` for line
    ends in `event` and `id`, and for a negative `retry`; `TypeError` for data that JSON cannot say.

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
        if retry is not None and (isinstance(retry, bool) or not isinstance(retry, int) or retry < 0):
            raise ValueError(f"retry is a number of milliseconds, not {retry!r}")
        if data is not None and not isinstance(data, str):
            data = data.decode() if isinstance(data, bytes) else codec.to_json(data).decode()
        self.data: str | None = data
        self.event = event
        self.id = None if id is None else str(id)
        self.retry = retry

    def __repr__(self) -> str:
        return f"<Event {self.event or 'message'} id={self.id} {self.data!r}>"

    def encode(self) -> bytes:
        """The event as it is sent."""
        lines = []
        for name, value in (("event", self.event), ("id", self.id), ("retry", self.retry)):
            if value is not None:
                lines.append(f"{name}: {value}\n")
        if self.data is not None:
            lines.extend(f"data: {line}\n" for line in _LINE_END.split(self.data))
        lines.append("\n")
        return "".join(lines).encode()


def sse(
    events: AsyncIterable[Any] | Iterable[Any], *, heartbeat: float | None = 15.0, retry: int | None = None
) -> Response:
    """The answer that sends `events`, a generator, sync or async, of text, JSON values or `Event`s.

    While there are none, a comment goes out every `heartbeat` seconds, so that nobody on the way takes the
    connection for dead; None: never. `retry` is how long browsers wait before they come again, in
    milliseconds. A sync generator runs in a worker thread, and may block. Raises `TypeError` for what is no
    generator, `ValueError` for a heartbeat that is not above 0.

        return sse(prices(), retry=1000)
    """
    if isinstance(events, (str, bytes, dict)) or not isinstance(events, (AsyncIterable, Iterable)):
        raise TypeError(f"events come from a generator: sse(prices()), not {events!r}")
    # Written so that NaN fails, too.
    if heartbeat is not None and not heartbeat > 0:
        raise ValueError(f"heartbeat is a number of seconds above 0, or None, not {heartbeat!r}")
    return Response(
        Events(events, heartbeat, retry),
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},  # nginx would gather them
        content_type="text/event-stream",
    )


def last_event_id(request: Request) -> str | None:
    """The id of the last event that a client has seen before it lost the connection; None for a new one."""
    return request.headers.get("last-event-id") or None


class Events:
    """The body of the answer: the events, and heartbeats in between."""

    __slots__ = (
        "_begun",
        "_events",
        "_heartbeat",
        "_loop",
        "_retry",
        "_said",
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
        self._timer: Any = None
        self._said = 0.0  # when something was sent last
        self._stopping = False

    async def send_to(self, writer: BodyWriter) -> None:
        """Send them all; see `BodyWriter.run`."""
        self._loop = running_loop()
        self._writer = writer
        if not hasattr(self._events, "__anext__"):
            self._events = Pieces(self._events, writer.request)
        writer.watch(self._ask, self._stop)
        if writer.is_awaited and not writer.stopping:
            self._timer = self._loop.call_later(FIRST, self._open)
        else:
            self._open()  # at once: a browser says `open` when the head comes
        try:
            if writer.stopping:
                return
            if writer.eof:
                self._ask()
            while (event := await anext(self._events, _END)) is not _END and not self._stopping:
                data = (event if isinstance(event, Event) else Event(event)).encode()
                if not self._begun:
                    self._open()
                await writer.send(data)
                self._said = self._loop.time()
            if not self._begun:
                self._open()
        except BaseException as error:
            # `_stop` has cancelled what was waited for. All else goes on its way.
            if not self._stopping or isinstance(error, (Exception, KeyboardInterrupt, SystemExit)):
                raise
        finally:
            self._unwind()
            self._writer = None

    async def aclose(self) -> None:
        """There are no more, or nothing takes them."""
        if hasattr(self._events, "aclose"):
            await self._events.aclose()
        elif hasattr(self._events, "close"):
            await to_thread(self._events.close)

    def _open(self) -> None:
        """Send the head, and wind up the heartbeat."""
        if self._begun:
            return
        self._begun = True
        self._unwind()
        if self._retry.retry is None:
            self._writer.send_head()
        else:
            self._writer.put(self._retry.encode())
        self._said = self._loop.time()
        self._wind()

    def _wind(self) -> None:
        """Set the timer to when a heartbeat is due, if nothing comes until then."""
        if self._heartbeat is not None:
            wait = self._said + self._heartbeat - self._loop.time()
            self._timer = self._loop.call_later(max(wait, 0.001), self._beat)

    def _unwind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        assert self._heartbeat is not None
        if self._loop.time() - self._said > self._heartbeat - 0.001:
            self._comment()
        self._wind()

    def _comment(self) -> None:
        if self._writer.writable:
            self._writer.put(_COMMENT)
        self._said = self._loop.time()

    def _ask(self) -> None:
        """The client has closed its side. Whether it has gone shows when it does not take what is sent."""
        self._open()
        self._unwind()
        self._comment()
        self._timer = self._loop.call_later(PROBE, self._ask_again)

    def _ask_again(self) -> None:
        """The first comment was answered with a reset, perhaps, which the second runs into."""
        self._comment()
        self._wind()

    def _stop(self) -> None:
        """The server stops: end the generator where it waits."""
        self._stopping = True
        self._open()
        self._writer.cancel()

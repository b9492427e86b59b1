"""Client: one client as the simulation knows it: what it said, what of that was read, what it was answered.

Every byte the server writes is read here, at the moment it is written, by the letter of RFC 9112; an
answer that is not the next one due, an end that is not due and a byte behind the last one are failures.
"""

from __future__ import annotations

import re
from typing import Any

from tests.simulate.traffic import BLANK, CUT, NEVER, WHOLE, Expected, Item

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [ -~]*")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\t -~\x80-\xff]*)")
CHUNK = re.compile(rb"[0-9a-f]+")


class Client:
    """One connection, seen from the far end; `world` has the clock, the limits and the list of failures."""

    def __init__(self, world: Any, number: int) -> None:
        self.world = world
        self.number = number
        self.link: Any = None  # the ground's end of it
        self.requests = 0
        # What it says.
        self.said = 0  # bytes so far
        self.outgoing = bytearray()  # of them on their way
        self.arrived = 0
        self.arrivals: list[tuple[int, float]] = []  # bytes so far, and when
        self.read = 0
        self.ending = False  # it says no more
        self.end_arrived = False
        self.over = False  # what it says now is never answered
        self.gone = False  # reset by the client
        self.gone_at = 0.0
        self.expected: list[Expected] = []
        # What it hears.
        self.opened_at = world.now
        self.wrote_at = world.now
        self.taken_at = world.now  # when it last took something, or there began to be something to take
        self.closing_since = 0.0
        self.written = bytearray()  # all of it, as far as not yet received
        self.answered = 0
        self.last = False  # an answer has said that it is the last
        self.ended: str | None = None  # what the server has ended it with: "end", "abort"
        self._data = bytearray()
        self._body: bytearray | None = None  # of the answer that is being read
        self._framing: Any = None  # "chunked", "end", "rest" or the bytes that are missing

    def __repr__(self) -> str:
        return f"client {self.number}"

    def fail(self, why: str) -> None:
        self.world.fail(f"{self!r}: {why}")

    def say(self, item: Item) -> None:
        """Put `item` on the wire, and know what is due for it."""
        if not self.over:
            self.expected.extend(answer.moved(self.said) for answer in item.answers)
            self.over = item.cut or any(answer.close for answer in item.answers)
        self.said += len(item.data)
        self.outgoing += item.data
        if item.cut:
            self.ending = True

    # What the server does

    def wrote(self, data: bytes) -> None:
        """The connection has written `data`."""
        self.written += data
        if self.world.failure:
            return
        if self.ended == "end":
            self.fail(f"a byte after the end: {data[:40]!r}")
        if self.ended or self.gone:
            return
        self.wrote_at = self.world.now
        if self.last and self._body is None:
            self.fail(f"a byte behind the last answer: {data[:40]!r}")
            return
        self._data += data
        try:
            self._read_answers()
        except AssertionError as error:
            self.fail(str(error))

    def took(self, data: bytes) -> None:
        """`data` has come through."""
        if bytes(self.written[: len(data)]) != data:
            self.fail(f"{data[:40]!r} is sent where {bytes(self.written[:40])!r} was written")
        del self.written[: len(data)]
        self.taken_at = self.world.now

    def ends(self) -> None:
        """The connection has said that it writes no more."""
        if self.ended or self.gone or self.world.failure:
            return
        self.ended = "end"
        if self._framing == "end":
            self._complete()
        if self._framing == "rest":
            if self._data:
                self.fail(f"ends amid the body of a refusal: {bytes(self._data)!r}")
        elif self._body is not None or self._data:
            self.fail("ends in the middle of an answer, without a reset")
        elif not self.last:
            self._ends_at_rest()

    def _ends_at_rest(self) -> None:
        world, due = self.world, self.due()
        if due is not None and due.start < self.arrived:
            # Within a case nobody here knows where a request begins.
            within = self.answered > 0 and self.expected[self.answered - 1].end == due.end
            if due.exact or not within:
                self.fail(f"ends though {due} has arrived")
        quiet = world.now - max(self.wrote_at, self.opened_at)
        if self.end_arrived:
            return
        since_stop = world.now - world.stopped_at if world.stopping else -1.0
        if quiet < world.limits.idle_timeout - 1e-6 and since_stop < world.limits.drain_timeout - 1e-6:
            self.fail(f"idle for {quiet} s, {since_stop} s after the stop, and ended")
        world.count["idle ends"] += 1

    def aborted(self) -> None:
        """The connection has been cut by the server."""
        if self.gone or self.ended == "abort" or self.world.failure:
            return
        before, self.ended = self.ended, "abort"
        world, limits, due = self.world, self.world.limits, self.due()
        if world.forced or (
            world.stopping and world.now >= world.stopped_at + limits.shutdown_timeout - 1e-6
        ):
            world.count["forced"] += 1
        elif due is not None and due.fate is CUT and due.number in world.app.failed:
            world.count["cut"] += 1
            if self._body is not None and not (due.body or b"").startswith(self._body):
                self.fail("half a body is no part of the whole one")
        elif self.link.unsent() and world.now - self.taken_at >= limits.write_timeout - 1e-6:
            world.count["stalled"] += 1
        elif self.link.unsent() and (
            world.now - self.link.connection.taken_until >= limits.write_timeout - 1e-6
        ):
            world.count["too slow"] += 1
        elif (
            before
            and not self.link.unsent()
            and (world.now - self.closing_since >= limits.linger_timeout - 1e-6)
        ):
            world.count["lingered"] += 1
        else:
            self.fail(f"aborted for no reason ({self.link.connection!r}), {due}")

    def due(self) -> Expected | None:
        """The next answer."""
        return self.expected[self.answered] if self.answered < len(self.expected) else None

    # Reading, by the letter

    def _read_answers(self) -> None:
        while self._data:
            if self._body is None:
                if self.last:
                    raise AssertionError(f"bytes behind the last answer: {bytes(self._data[:40])!r}")
                head, blank, rest = bytes(self._data).partition(b"\r\n\r\n")
                if not blank:
                    return
                self._data = bytearray(rest)
                self._read_head(head)
            elif not self._read_body():
                return

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        matched = STATUS_LINE.fullmatch(first)
        assert matched, f"no status line: {first!r}"
        status = int(matched[1])
        fields: dict[bytes, bytes] = {}
        for line in lines:
            field = FIELD.fullmatch(line)
            assert field, f"no field: {line!r}"
            assert field[1].lower() not in fields, f"twice: {line!r}"
            fields[field[1].lower()] = field[2]
        due = self.due()
        if status == 100:
            assert due is not None, "100 without a request"
            assert due.interim, f"100 for {due}"
            assert self.read >= due.head if due.exact else self.read > due.start
            self.expected[self.answered] = due._replace(interim=False)
            return
        assert b"date" in fields, head
        assert not (b"content-length" in fields and b"transfer-encoding" in fields), head
        close = fields.get(b"connection", b"").lower() == b"close"
        bodyless = self._judge(status, due, close)
        if status in (204, 304):
            bodyless = True
        self.last = close
        self.world.count["answers"] += 1
        self.world.count[f"{status // 100}xx"] += 1
        self._body = bytearray()
        if bodyless is None:
            self._framing = "rest"
            self._expect_rest(fields)
        elif bodyless:
            self._framing = 0
        elif b"transfer-encoding" in fields:
            assert fields[b"transfer-encoding"] == b"chunked", head
            self._framing = "chunked"
        elif b"content-length" in fields:
            self._framing = int(fields[b"content-length"])
        else:
            assert close, f"nothing says where this ends: {head!r}"
            self._framing = "end"
        if self._framing == 0:
            self._complete()

    def _judge(self, status: int, due: Expected | None, close: bool) -> bool | None:
        """Whether this is the answer that is due. Gives whether it has no body; None: that cannot be told."""
        world = self.world
        if due is not None and status == due.status and due.fate is not NEVER:
            there = self.read >= due.end if due.exact else self.read > due.start - BLANK
            if there or (due.end > self.said and self.end_arrived):
                if close != due.close:
                    assert close, f"not said to be the last: {due}"
                elif not close and world.stopping:
                    came = next((when for size, when in self.arrivals if size >= due.end), 0.0)
                    assert came <= world.stopped_at, f"not said to be the last after the stop: {due}"
                    assert world.stopping, f"said to be the last: {due}"
                self.over = self.over or close
                return due.bodyless
        assert due is not None, f"{status} for nothing at all"
        start = due.start if due.exact else due.start - BLANK
        assert start < self.read < due.end, f"{status} after {self.read} bytes, not {due}"
        assert close, f"{status}, and more to come"
        self.over = True
        del self.expected[self.answered + 1 :]
        self.expected[self.answered] = due._replace(status=status, body=None, close=True, fate=WHOLE)
        if status == 400:
            assert self.end_arrived, f"{status}, not {due}"
            world.count["broken off"] += 1
        else:
            assert status == 408, f"{status}, not {due}"
            limits = world.limits
            since = next(when for size, when in self.arrivals if size > start)
            least = limits.head_timeout if self.read < due.head else limits.body_timeout
            if not due.exact:
                least = min(limits.head_timeout, limits.body_timeout)
            assert world.now - since >= least - 1e-6, f"408 after {world.now - since} s"
            world.count["timed out"] += 1
        # Whether the server had read so far that this is a HEAD is not ours to know.
        return None if due.bodyless else False

    def _expect_rest(self, fields: dict[bytes, bytes]) -> None:
        size = int(fields[b"content-length"])
        assert len(self._data) in (0, size), "neither with a body nor without"
        self._data.clear()

    def _read_body(self) -> bool:
        """Whether the answer is complete."""
        data, body = self._data, self._body
        assert body is not None
        if self._framing == "end":
            body += data
            data.clear()
            return False
        if self._framing == "rest":
            raise AssertionError(f"more after a refusal: {bytes(data)!r}")
        if self._framing == "chunked":
            while True:
                end = data.find(b"\r\n")
                if end < 0:
                    return False
                digits = bytes(data[:end])
                assert CHUNK.fullmatch(digits), f"no chunk size: {digits!r}"
                size = int(digits, 16)
                if len(data) < end + 2 + size + 2:
                    return False
                assert data[end + 2 + size : end + 4 + size] == b"\r\n", "no end of a chunk"
                body += data[end + 2 : end + 2 + size]
                del data[: end + 4 + size]
                if not size:
                    break
        else:
            taken = data[: self._framing]
            body += taken
            del data[: len(taken)]
            self._framing -= len(taken)
            if self._framing:
                return False
        self._complete()
        return True

    def _complete(self) -> None:
        due, body = self.due(), self._body
        assert due is not None
        if due.fate is CUT:
            self.fail(f"half a body passes for a whole one: {due}")
        if due.body is not None and bytes(body or b"") != due.body:
            self.fail(f"not the body of {due}: {bytes(body or b'')[:60]!r}")
        self._body = self._framing = None
        self.answered += 1

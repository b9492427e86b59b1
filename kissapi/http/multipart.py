"""Multipart: forms with files (RFC 7578), read by the library multipart. The door to it.

What the library finds wrong, in a body that came whole or in any pieces, is a `Fail`: the client's mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import to_thread
from kissapi.core import Fail
from kissapi.http import uri
from kissapi.http.files import SPOOL, File, safe_name, written
from kissapi.http.forms import MULTIPART, Fields, check_field, media_type, unsupported
from kissapi.http.given import Files, Form

if TYPE_CHECKING:
    from kissapi.http.limits import Limits

# RFC 8187 §3.2, in UTF-8, which is the only charset that all must read.
_EXTENDED = re.compile(r""";[ \t]*filename\*[ \t]*=[ \t]*utf-8'[^';]*'([^; \t"]+)""", re.IGNORECASE)


def read_multipart(content_type: str, body: bytes, limits: type[Limits] | Limits) -> Fields:
    """The fields and files of a form that came whole. Raises `Fail`: 400 or 413."""
    parser = _make_parser(content_type, limits)
    fields = Fields(Form(), Files())
    whole = memoryview(body)
    segment: Any = None
    pieces: list[bytes | memoryview] = []
    at = 0
    for event in chain(_events(parser, body), _events(parser, b"")):  # lazily: each holds a copy
        if isinstance(event, bytes):
            # A large piece is a view of the body: the same bytes, and no second copy of a film in memory.
            if len(event) > SPOOL and (found := body.find(event, at)) >= 0:
                at = found + len(event)
                event = whole[found:at]
            pieces.append(event)
        elif event is not None:
            segment, pieces = event, []
            _check_segment(segment, limits)
        else:
            _keep(fields, segment, pieces, limits)
    return fields


def _keep(
    fields: Fields, segment: Any, pieces: list[bytes | memoryview], limits: type[Limits] | Limits
) -> None:
    name = segment.name
    size = sum(map(len, pieces))
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    filename = _filename_of(segment)
    if filename is None:
        check_field(name, size, limits)
        fields.form.setdefault(name, []).append(_text(name, bytes(data)))
    elif filename or size:  # else no file was chosen: browsers send an empty one
        file = File(filename, _type_of(segment, filename), data, size)
        fields.files.setdefault(name, []).append(file)


class Part:
    """One part of a multipart form, while it comes: a field, or a file if it has a `filename`.

    `name` is that of the field; `filename`, made safe, is None for fields; `content_type` is what the client
    says of it. It is taken once, before the next part is asked for: by `async for`, `read`, `text`, `save` or
    `file`; what is not taken is dropped.

        async for part in req.parts():
            if part.filename:
                await part.save(f"uploads/{uuid.uuid4()}")
    """

    __slots__ = ("_events", "_limits", "_taken", "content_type", "filename", "name", "size")

    def __init__(self, segment: Any, events: AsyncIterator[Any], limits: type[Limits] | Limits) -> None:
        filename = _filename_of(segment)
        self.name: str = segment.name
        self.filename = None if filename is None else safe_name(filename)
        self.content_type = _type_of(segment, filename)
        self.size = 0  # bytes that have come so far
        self._events = events
        self._limits = limits
        self._taken = False

    def __repr__(self) -> str:
        return f"<Part {self.name!r} {self.filename or ''}>"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, as they come. Raises what `req.stream()` raises; `RuntimeError` the second time."""
        if self._taken:
            raise RuntimeError(f"the part {self.name!r} has been taken already: keep what you need of it")
        self._taken = True
        async for piece in self._rest():
            yield piece

    async def _rest(self) -> AsyncIterator[bytes]:
        async for event in self._events:
            if event is None:
                return
            self.size += len(event)
            if self.filename is None:
                check_field(self.name, self.size, self._limits)
            yield event

    async def read(self) -> bytes:
        """All of its bytes, in memory: those of a field at most `max_field`, those of a file `max_body`."""
        return b"".join([piece async for piece in self])

    async def text(self) -> str:
        """All of it as UTF-8. Raises `Fail(400)` if it is not."""
        return _text(self.name, await self.read())

    async def save(self, path: str | os.PathLike[str]) -> int:
        """Write it to the file `path`, made anew, in worker threads; the number of bytes.

        If the rest of it does not come, or cannot be written, the file is removed. Raises `OSError` if it
        cannot be written.
        """
        with written(path) as target:  # not in a thread: what is cancelled while it opens would stay
            async for piece in self:
                await to_thread(target.write, piece)
        return self.size

    async def file(self) -> File:
        """All of it as a `File`, as `req.files` has them: in memory up to 256 KiB, on disk above."""
        from tempfile import SpooledTemporaryFile

        kept = SpooledTemporaryFile(max_size=SPOOL)  # noqa: SIM115  # `File` closes it
        try:
            async for piece in self:
                if self.size <= SPOOL:
                    kept.write(piece)
                else:
                    await to_thread(kept.write, piece)
        except BaseException:
            kept.close()
            raise
        return File(self.filename or "", self.content_type, kept, self.size)


async def read_parts(
    content_type: str | None, body: AsyncIterator[bytes], limits: type[Limits] | Limits
) -> AsyncIterator[Part]:
    """The parts of a form, as they come. Raises `Fail`: 400, 408, 413; 415 if it is no multipart form."""
    if media_type(content_type) != MULTIPART:
        raise unsupported(content_type, MULTIPART, "curl -F name=value")
    parser = _make_parser(content_type or "", limits)
    events = _events_of(parser, body)
    async for segment in events:
        _check_segment(segment, limits)
        yield Part(segment, events, limits)
        while not segment.complete and await anext(events) is not None:
            pass  # what the handler has left


async def _events_of(parser: Any, body: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for piece in body:
        for event in _events(parser, piece):
            yield event
    for event in _events(parser, b""):
        yield event


def _events(parser: Any, data: bytes) -> Iterator[Any]:
    """What the library makes of `data`: a segment, its bytes, None at its end. No `data` is the end."""
    try:
        yield from parser.parse(data)
    except Exception as error:  # the bytes are the client's: whatever they bring about is its mistake
        if "segment count" in str(error):
            most = parser.max_segment_count
            raise Fail(400, f"Bad Request: a form may have {most} parts, see max_parts") from None
        why = error.args[0] if error.args else type(error).__name__
        raise Fail(400, f"Bad Request: the body is no {MULTIPART}: {why}") from None


def _make_parser(content_type: str, limits: type[Limits] | Limits) -> Any:
    try:
        from multipart import PushMultipartParser, parse_options_header
    except ImportError:  # the package python-multipart has had this name, too
        raise ImportError(
            "forms of multipart/form-data need the package multipart: pip install 'kissapi[forms]'"
        ) from None
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not (1 <= len(boundary) <= 70 and boundary.isascii() and boundary.isprintable()):  # RFC 2046 §5.1.1
        raise Fail(400, "Bad Request: the Content-Type must have a boundary of 1 to 70 characters")
    return PushMultipartParser(boundary, max_segment_count=limits.max_parts)


def _check_segment(segment: Any, limits: type[Limits] | Limits) -> None:
    if not segment.name:
        raise Fail(400, f"Bad Request: the body is no {MULTIPART}: a part has no name")
    check_field(segment.name, 0, limits)
    encoding = segment.header("Content-Transfer-Encoding", "binary").lower()
    if encoding not in ("binary", "8bit", "7bit"):  # RFC 7578 §4.7: deprecated, and read by hardly anything
        raise Fail(
            400, f"Bad Request: the part {segment.name!r} is encoded as {encoding[:40]}: send it as it is"
        )


def _filename_of(segment: Any) -> str | None:
    """What the client calls the file; None for a field.

    RFC 7578 §4.2 forbids `filename*` in forms. Some libraries send it all the same for what is not ASCII, and
    nothing else: without it their files would be fields.
    """
    filename: str | None = segment.filename
    found = _EXTENDED.search(segment.header("Content-Disposition", ""))
    if found is None:
        return filename
    try:
        return uri.unescape(found[1]).decode()
    except UnicodeDecodeError:
        raise Fail(400, f"Bad Request: the name of the file {segment.name!r} is not UTF-8") from None


def _type_of(segment: Any, filename: str | None) -> str:
    usual = "text/plain" if filename is None else "application/octet-stream"
    return segment.header("Content-Type") or usual


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Fail(400, f"Bad Request: the field {name!r} is not UTF-8") from None

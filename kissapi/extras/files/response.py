"""FileResponse: an open file as the answer to one request: all of it, a part (206), or nothing new (304).

The fields describe the file that is open, not its path, which may lead to another file a moment later. The
file is closed whatever happens. `file` opens one by its path; `static` makes its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kissapi.core import Fail
from kissapi.extras.files.conditions import FIELDS, OF_A_BODY, failed, wanted_range
from kissapi.extras.files.fields import FileFields, file_fields
from kissapi.extras.files.folder import FLAGS, refusal
from kissapi.extras.files.media_types import type_of
from kissapi.extras.files.sendfile import OpenFile
from kissapi.http.head import WHOLE
from kissapi.http.headers import Headers
from kissapi.http.response import Response

if TYPE_CHECKING:
    from kissapi.http.request import Request


class FileResponse(Response):
    """The answer that `file` and `static` give. It answers one request, for it closes its file."""

    __slots__ = ("_file", "_known")

    def __init__(self, opened: OpenFile, known: FileFields) -> None:
        # The same as `Response.__init__`, without the checks: `file_fields` has made them, and they take
        # longer than to open the file.
        self._status = 200
        self._headers = None  # made when they are asked for
        self._body = opened  # a body that sends itself
        self._usual_type = None
        self._given_type = known.fields["content-type"]
        self._file: OpenFile | None = opened
        self._known = known

    def _make_headers(self) -> Headers:
        return Headers.of(self._known.fields)

    def encode_answer(self, connection: Any, request: Request, tail: bytes) -> Any:
        """The bytes of the usual answer, all of a small file; this response if it is another one.

        All that is as it was made has a head that is made already.
        """
        opened, service = self._file, connection.service
        if (
            opened is None
            or opened is not self._body
            or self._headers is not None
            or self._status != 200
            or opened.size > WHOLE
            or request.method != "GET"
            or service.has_headers
            or not FIELDS.isdisjoint(request.headers)
        ):
            return self
        self._file = None
        body = opened.read()
        request._sent = opened.size
        if service.answered is not None:
            service.answered.append((request, 200, opened.size, connection.received_at))
        return b"".join((self._known.head, tail, body))

    def prepare(self, request: Request) -> None:
        """Choose what `request` gets: the file, a part of it, or nothing new (304).

        Raises `Fail`: 412 for a condition that does not hold, 416 for a range outside the file.
        """
        opened, self._file = self._file, None
        if opened is None:
            raise RuntimeError("this file has been sent: file() answers one request, call it in the handler")
        self._headers = self.headers  # the head that is made already will not do
        body: object = self._body
        if body is not opened:  # a hook has replaced it
            opened.close()
            return
        is_head = request.method == "HEAD"
        conditional = self._status == 200 and (is_head or request.method == "GET")
        if conditional and not FIELDS.isdisjoint(request.headers):
            try:
                wanted = self._apply_conditions(request, opened)
            except BaseException:
                opened.close()
                raise
            if not wanted:
                opened.close()
                return
        length = opened.stop - opened.start
        if length <= WHOLE and not is_head:
            self._body = opened.read()
            return
        self.headers["content-length"] = str(length)
        if is_head:
            opened.close()
            self._body = b""

    def _apply_conditions(self, request: Request, opened: OpenFile) -> bool:
        """Whether the answer has any bytes of the file; sets the status, and which bytes."""
        fields, headers = request.headers, self.headers
        etag, modified = headers.get("etag", ""), opened.mtime_ns // 10**9
        status = failed(fields, etag, modified)
        if status == 304:  # only the fields that a cache needs (RFC 9110 §15.4.5)
            self.status = 304
            self.body = None
            self._drop("last-modified")
            return False
        if status == 412:
            raise self._fail(412)
        part = wanted_range(fields, etag, modified, opened.size) if request.method == "GET" else None
        if part is None:
            return True
        if not part:
            headers["content-range"] = f"bytes */{opened.size}"
            raise self._fail(416)
        self.status = 206
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{opened.size}"
        opened.start, opened.stop = part.start, part.stop
        return True

    def _fail(self, status: int) -> Fail:
        self._drop("cache-control", "etag", "last-modified")
        return Fail(status, headers=self.headers)

    def _drop(self, *names: str) -> None:
        """Remove `names` and the fields that describe a body."""
        for name in (*OF_A_BODY, *names):
            self.headers.pop(name, None)


def file(
    path: str | os.PathLike[str],
    *,
    content_type: str | None = None,
    download: str | None = None,
    cache_control: str | None = None,
) -> FileResponse:
    """The file at `path` as an answer, with ETag and Last-Modified; it answers conditions and ranges.

    `content_type` is by default the one of the name's extension. With `download` a browser saves the file
    under that name. `cache_control` is the field Cache-Control. No path is refused: where a client chooses
    the name, use `static`. A plain `def` handler opens the file in its thread. Raises `Fail`: 404 if there is
    no such file, 403 if it may not be read; `ValueError` for a text that no field may have.

        return file("build/report.pdf", download="Report 2026.pdf", cache_control="private")
    """
    path = os.fspath(path)
    try:
        opened = OpenFile(os.open(path, FLAGS))
    except (OSError, ValueError) as error:
        raise refusal(error) from None
    kind = content_type or type_of(path)
    known = file_fields(kind, opened.mtime_ns, opened.size, None, False, cache_control, download)
    return FileResponse(opened, known)

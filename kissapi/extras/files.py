"""Files: one as an answer, and folders of them: `file`, `static`.

    from kissapi.extras.files import file, static

    router.mount("/", static("/assets", "public"))  # what is below ./public, as /assets/…

    @router.get("/report")
    async def report(req: Request):
        return file("build/report.pdf", download="Report 2026.pdf")

Both heed conditions and ranges (RFC 9110 §13, §14): browsers keep what they have, and downloads go on where
they broke off. Files are opened and read on the loop, as nginx does it: fast on a disk, but where a network
file system hangs, so does the server. The kernel sends what is large (`sendfile`) where it can; a download
takes three descriptors then.

Law: what a head says of a file is asked of the file that is open; what is opened is closed, whatever comes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from kissapi.core import Fail
from kissapi.extras.conditions import FIELDS, failed, wanted_range
from kissapi.extras.folder import FLAGS, Folder, names_in, refusal
from kissapi.extras.media_types import is_compact, type_of
from kissapi.extras.sendfile import OpenFile
from kissapi.headers import Headers
from kissapi.response import WHOLE, Response, http_date, redirect
from kissapi.router import Router

if TYPE_CHECKING:
    from kissapi.request import Request

CODINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}  # how files in them are named; the best first

_REST = "static_path"  # a parameter that no prefix has
# What may stand in filename* as it is (RFC 8187 §3.2.1).
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~")


class File(Response):
    """The answer that `file` and `static` give: to one request, for the file is open, and closed with it."""

    __slots__ = ("_file",)

    def __init__(self, opened: OpenFile, fields: Mapping[str, str]) -> None:
        # What `Response.__init__` does, but for checks that all these fields have passed: they take longer
        # than opening the file.
        self._status = 200
        self._headers = Headers.of(fields)
        self._body = opened  # type: ignore[assignment]  # a body that sends itself
        self._usual_type = None
        self._file: OpenFile | None = opened

    def prepare(self, request: Request) -> None:
        """Work out what this request gets: the file, a part of it, nothing new (304).

        Raises `Fail`: 412 for a condition that is not met, 416 for a range that the file has nothing of.
        """
        opened, self._file = self._file, None
        if opened is None:
            raise RuntimeError("this file has been sent: file() answers one request, call it in the handler")
        body: object = self._body
        if body is not opened:  # a hook has put another in its place
            opened.close()
            return
        is_head = request.method == "HEAD"
        conditional = self._status == 200 and (is_head or request.method == "GET")
        if conditional and not FIELDS.isdisjoint(request.headers):
            try:
                wanted = self._heed(request, opened)
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

    def _heed(self, request: Request, opened: OpenFile) -> bool:
        """Whether any of the file is to be sent."""
        fields, headers = request.headers, self.headers
        etag, modified = headers.get("etag", ""), opened.mtime_ns // 10**9
        status = failed(fields, etag, modified)
        if status == 304:  # no more than a cache has to know (RFC 9110 §15.4.5)
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

    def _drop(self, *unfit: str) -> None:
        """Take away the fields that are about what is not sent."""
        for name in ("accept-ranges", "content-disposition", "content-encoding", "content-type", *unfit):
            self.headers.pop(name, None)


def file(
    path: str | os.PathLike[str],
    *,
    content_type: str | None = None,
    download: str | None = None,
    cache_control: str | None = None,
) -> File:
    """The file at `path` as an answer, with ETag and Last-Modified; conditions and ranges are heeded.

    Its name tells the type, unless `content_type` does. With `download` browsers save it, by that name.
    `cache_control` is the field Cache-Control. Nothing is refused here: where a client has a say in the name,
    use `static`. In a plain `def` handler it is opened in the thread of that. Raises `Fail`: 404 if there is
    no such file, 403 if it may not be read.

        return file("build/report.pdf", download="Report 2026.pdf", cache_control="private")
    """
    path = os.fspath(path)
    try:
        opened = OpenFile(os.open(path, FLAGS))
    except (OSError, ValueError) as error:
        raise refusal(error) from None
    kind = content_type or type_of(path)
    return File(opened, _fields(kind, opened.mtime_ns, opened.size, None, False, cache_control, download))


def static(
    prefix: str,
    folder: str | os.PathLike[str],
    *,
    index: str | None = "index.html",
    cache_control: str | None = None,
    precompressed: bool = True,
) -> Router:
    """A router that answers GET and HEAD of `prefix/…` with the files below `folder`.

    A folder answers with its `index`, unless that is None; asked for without the slash at the end it
    redirects there, for the sake of relative links. With `precompressed`, clients that take it get
    `app.js.br`, `app.js.zst` or `app.js.gz` in place of `app.js`, unless that is older. All else is 404: what
    is no regular file, names that begin with a dot or contain an escaped slash or a backslash, links that
    lead out of the folder. Raises `NotADirectoryError` if there is no such folder.

        router.mount("/", static("/assets", "public", cache_control="max-age=3600"))
        Server(router=static("/", "site")).loop()
    """
    if not isinstance(prefix, str):
        raise TypeError(f'a prefix is a string such as "/assets", not {prefix!r}')
    below = Folder(folder)
    if not os.path.isdir(below.root):
        raise NotADirectoryError(f"static files: there is no folder {below.root}")
    if cache_control is not None:
        Headers({"cache-control": cache_control})  # what is wrong with it is said where it stands

    async def serve(req: Request) -> Response:
        rest = req.params.get(_REST)  # not there for the prefix itself, without a slash
        names = [] if rest is None else names_in(req.path, rest)
        has_slash = names[-1:] == [""]
        if has_slash:
            if index is None:
                raise Fail(404, "Not Found")
            names[-1] = index
        try:
            opened = below.open(names)
        except IsADirectoryError:
            if has_slash or index is None or not _has(below, [*names, index]):
                raise Fail(404, "Not Found") from None
            return _to_slash(req)
        kind, coding = type_of(names[-1]), None
        varies = precompressed and not is_compact(kind)
        if varies and "accept-encoding" in req.headers:
            opened, coding = _compressed(below, names, opened, req.headers["accept-encoding"])
        return File(opened, _fields(kind, opened.mtime_ns, opened.size, coding, varies, cache_control))

    router = Router()
    prefix = prefix.strip("/")
    if prefix:
        prefix = f"/{prefix}"
        router.add_route("GET", prefix, serve)
    router.add_route("GET", f"{prefix}/{{{_REST}:path}}", serve)
    return router


def _has(folder: Folder, names: list[str]) -> bool:
    try:
        folder.open(names).close()
    except (Fail, IsADirectoryError):
        return False
    return True


def _to_slash(req: Request) -> Response:
    """Relative to where the client is, for there may be a proxy in between that knows it by another path."""
    name = req.path.rpartition("/")[2]
    query = f"?{req.query_string}" if req.query_string else ""
    return redirect(f"./{name}/{query}", 301)


def _compressed(
    folder: Folder, names: list[str], opened: OpenFile, accepted: str
) -> tuple[OpenFile, str | None]:
    """The file in the coding that the client likes best, and that coding; else the file as it is."""
    *above, name = names
    for coding in codings(accepted):
        try:
            sibling = folder.open([*above, name + CODINGS[coding]])
        except (Fail, IsADirectoryError):
            continue
        # Whole seconds: tools that give it the time of the original drop the rest. An older one is not of it.
        if sibling.mtime_ns // 10**9 >= opened.mtime_ns // 10**9:
            opened.close()
            return sibling, coding
        sibling.close()
    return opened, None


@lru_cache(64)
def codings(accepted: str) -> tuple[str, ...]:
    """The codings that a client takes, the one it likes best first (RFC 9110 §12.5.3).

    >>> codings("gzip, br;q=0.8, zstd;q=0")
    ('gzip', 'br')
    """
    weights: dict[str, float] = {}
    for item in accepted.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            weights[coding.removeprefix("x-")] = float(weight)
        except ValueError:
            continue  # no number: as if it had not been named
    least, others = weights.get("identity", 0.0), weights.get("*", 0.0)
    liked = {coding: weights.get(coding, others) for coding in CODINGS}
    usable = (coding for coding, weight in liked.items() if weight > 0 and weight >= least)
    return tuple(sorted(usable, key=liked.__getitem__, reverse=True))


@lru_cache(1024)
def _fields(
    kind: str,
    mtime_ns: int,
    size: int,
    coding: str | None,
    varies: bool,
    cache_control: str | None,
    download: str | None = None,
) -> Mapping[str, str]:
    """The header of a file. Raises `ValueError` for what a field may not say."""
    etag = f"{mtime_ns:x}-{size:x}" if coding is None else f"{mtime_ns:x}-{size:x}-{coding}"
    modified = min(mtime_ns // 10**9, int(time.time()))  # a time to come is none (RFC 9110 §8.8.2.1)
    fields = {
        "content-type": kind,
        "etag": f'"{etag}"',
        "last-modified": http_date(time.gmtime(modified)),
        "accept-ranges": "bytes",
    }
    if coding is not None:
        fields["content-encoding"] = coding
    if varies:
        fields["vary"] = "Accept-Encoding"
    if cache_control is not None:
        fields["cache-control"] = cache_control
    if download is not None:
        fields["content-disposition"] = _disposition(download)
    return dict(Headers(fields))


def _disposition(name: str) -> str:
    """Content-Disposition: save as `name` (RFC 6266 §4.3); twice, if a quoted string cannot say all of it."""
    plain = "".join(char if " " <= char <= "~" and char not in '"\\/%' else "_" for char in name)
    field = f'attachment; filename="{plain}"'
    if plain != name:
        data = name.encode("utf-8", "surrogateescape")
        escaped = "".join(chr(octet) if octet in _PLAIN else f"%{octet:02X}" for octet in data)
        field += f"; filename*=UTF-8''{escaped}"
    return field

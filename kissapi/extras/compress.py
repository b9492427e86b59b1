"""Compress: an around hook that sends answers as gzip, br or zstd to the clients that accept it.

    from kissapi.extras.compress import compress

    router.around(compress())

It decides by what the answer is: text that is long enough and not compressed yet. A body of bytes is
compressed whole. A stream and events are compressed piece by piece, each flushed so that the client can read
it. Framing is left to the encoder.

Put it outside of `sessions`: there it sees the cookies that they set. With `etag` both orders are right.
Outside of `etag` is cheaper: an answer that has not changed is not compressed.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from kissapi.backends.awaitables import to_thread
from kissapi.backends.pieces import Pieces
from kissapi.extras.files.codings import accepted_codings, refuses_identity
from kissapi.extras.files.conditions import is_among
from kissapi.http.caching import add_vary
from kissapi.http.head import WHOLE, declared_length
from kissapi.http.outbox import as_bytes
from kissapi.http.pieces import close

if TYPE_CHECKING:
    from kissapi.http.body_writer import BodyWriter
    from kissapi.http.request import Request
    from kissapi.http.response import Response

__all__ = ["compress"]

TYPES = (
    "text/*", "application/json", "application/*+json", "application/xml", "*/*+xml",
    "application/javascript", "application/wasm", "application/x-ndjson", "application/yaml",
    "application/graphql", "application/sql", "application/rtf", "application/vnd.ms-fontobject",
    "font/otf", "font/ttf", "image/bmp", "image/x-icon",
)  # fmt: skip
# The best first: JSON of 64 KiB takes zstd 0.2 ms, br 0.55 and gzip 0.65, for 4.1, 4.0 and 9.5 KB.
LEVELS = {"zstd": 3, "br": 4, "gzip": 6}
LARGE = 32 * 1024  # bytes; more is compressed in a worker thread: gzip takes 0.3 ms for so many
_BODILESS = frozenset((204, 205, 206, 304))  # 206: a part of the bytes that the others got
_AS_IT_IS = ("content-encoding", "content-range", "content-digest")  # the handler has made the bytes itself


def sets_cookie(request: Request, response: Response) -> bool:
    """Whether an answer sets a cookie: what begins or changes a session most likely bears a secret."""
    return "set-cookie" in response.headers


def compress(
    *,
    minimum: int = 1024,
    types: Iterable[str] = TYPES,
    levels: Mapping[str, int | None] | None = None,
    skip: Callable[[Request, Response], bool] = sets_cookie,
) -> Callable[[Request], AsyncGenerator[None, Response]]:
    """Compress what is text of `minimum` bytes or more, for clients that accept it.

    `types` are media types, with `*` for any part. `levels` changes those of gzip (6), br (4) and zstd (3);
    None turns one off. br and zstd are used where a package has them: `kissapi[compress]`, or Python 3.14.
    An answer is left as it is if `skip(request, response)` is true, if it has a Content-Encoding, or if its
    Cache-Control has `no-transform`. The guide has what BREACH is, the attack on secrets in compressed pages.
    Raises `ValueError` for an unknown coding or a level that it has not, `ImportError` for the level of a
    coding if its package is missing.

        router.around(compress(levels={"gzip": 9, "br": None}))
    """
    coders = _coders(levels or {})
    offered = tuple(coders)
    fits = _matcher(types)

    async def hook(req: Request) -> AsyncGenerator[None, Response]:
        response = yield
        headers, kind = response.headers, response.content_type
        if response.status == 304:
            _keep_tag(req, response)
        if response.status in _BODILESS or any(name in headers for name in _AS_IT_IS):
            return
        if kind is None or not fits(kind) or "no-transform" in headers.get("cache-control", "").lower():
            return
        body = response.body
        size = _size(req, response)
        accepted = req.headers.get("accept-encoding", "")
        must = bool(accepted) and refuses_identity(accepted)
        if size is None or (size < minimum and not must) or skip(req, response):
            return
        add_vary(response, "Accept-Encoding")
        codings = accepted_codings(accepted, offered) if accepted else ()
        if not codings:
            return
        coder = coders[codings[0]]()
        packed: Any
        if not isinstance(body, bytes):
            packed = Compressed(body, coder)
        elif not body:  # HEAD, and the length that GET would have is not known
            packed = iter(())
            del headers["content-length"]
        else:
            packed = coder.whole(body) if size <= LARGE else await to_thread(coder.whole, body)
            if len(packed) >= size and not must:
                return
        if isinstance(packed, (bytes, Compressed)):
            headers["content-encoding"] = codings[0]
        headers.pop("accept-ranges", None)  # they would be ranges of bytes that are not sent
        if not headers.get("etag", "W/").startswith("W/"):
            headers["etag"] = f"W/{headers['etag']}"
        response.body = packed
        response.content_type = kind

    hook.__qualname__ = "compress"
    return hook


def _size(request: Request, response: Response) -> int | None:
    """The bytes of a body; None for what streams with a length, infinity for what streams without one."""
    body = response.body
    if isinstance(body, bytes) and (body or request.method != "HEAD"):
        return len(body)
    length = declared_length(response)
    if isinstance(body, bytes):  # what GET would send as bytes is no longer than WHOLE: see `FileResponse`
        return length if length is not None and length <= WHOLE else None
    return None if length is not None else sys.maxsize


def _keep_tag(request: Request, response: Response) -> None:
    """304: the tag, as the client has got it with the answer; and what the answer varies by."""
    add_vary(response, "Accept-Encoding")
    tags, etag = request.headers.get("if-none-match"), response.headers.get("etag")
    if tags is not None and etag is not None and not is_among(etag, tags, weakly=False):
        response.headers["etag"] = f"W/{etag.removeprefix('W/')}"


def _matcher(types: Iterable[str]) -> Callable[[str], bool]:
    """A function that tells whether a Content-Type is one of `types`."""
    if isinstance(types, str):
        raise TypeError(f"types is a list of media types: [{types!r}]")
    any_of = "|".join(re.escape(each.strip().lower()).replace(r"\*", "[^;]*") for each in types)
    pattern = re.compile(rf"(?:{any_of})[ \t]*(?:;.*)?")

    @lru_cache(256)
    def fits(kind: str) -> bool:
        return pattern.fullmatch(kind.strip().lower()) is not None

    return fits


# Bodies that are made while they are sent


class Compressed:
    """The body of an answer that streams, compressed. It sends itself; see `BodyWriter`."""

    __slots__ = ("_body", "_coder")

    def __init__(self, body: Any, coder: Coder) -> None:
        self._body = body
        self._coder = coder

    async def send_to(self, writer: BodyWriter) -> None:
        """Send all pieces, each flushed."""
        piece = self._coder.piece
        if hasattr(self._body, "send_to"):
            await self._body.send_to(PieceWriter(writer, piece))
        else:
            if not hasattr(self._body, "__anext__"):
                self._body = Pieces(self._body, writer.request)
            async for part in self._body:
                data = as_bytes(part)
                await writer.send(piece(data) if len(data) <= LARGE else await to_thread(piece, data))
        await writer.send(self._coder.finish())

    async def aclose(self) -> None:
        """Close the body: its `finally` blocks run."""
        await close(self._body)


class PieceWriter:
    """A `BodyWriter` that compresses what it is given, for a body that sends itself."""

    def __init__(self, writer: BodyWriter, piece: Callable[[bytes], bytes]) -> None:
        self._writer = writer
        self._piece = piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    async def send(self, piece: str | bytes) -> None:
        # Never in a thread: a heartbeat may be put meanwhile.
        await self._writer.send(self._piece(as_bytes(piece)))

    def put(self, piece: str | bytes) -> None:
        self._writer.put(self._piece(as_bytes(piece)))

    def socket(self) -> None:
        """None: what goes there is not what the body has."""


# Codings


class Coder(NamedTuple):
    """What compresses one body."""

    compress: Callable[[bytes], bytes]
    flush: Callable[[], bytes]
    finish: Callable[[], bytes]

    def piece(self, data: bytes) -> bytes:
        """`data` and all that was held back, so that the client can read it; nothing of nothing."""
        return self.compress(data) + self.flush() if data else b""

    def whole(self, data: bytes) -> bytes:
        """All of a body."""
        return self.compress(data) + self.finish()


def _coders(levels: Mapping[str, int | None]) -> dict[str, Callable[[], Coder]]:
    """What makes a coder of each coding that can be had, the best first."""
    ways = {"zstd": _zstd, "br": _brotli, "gzip": _gzip}
    for name in levels:
        if name not in ways:
            raise ValueError(f"levels is of gzip, br and zstd, not {name!r}")
    found: dict[str, Callable[[], Coder]] = {}
    for name, way in ways.items():
        level = levels.get(name, LEVELS[name])
        if level is None:
            continue
        try:
            found[name] = way(level)
            found[name]()
        except ImportError:
            if name in levels:
                raise ImportError(
                    f"{name} needs a package: pip install 'kissapi[compress]'", name=name
                ) from None
        except Exception as error:  # each package has its own
            raise ValueError(f"{level!r} is no level of {name}: {error}") from None
    return found


def _gzip(level: int) -> Callable[[], Coder]:
    def make() -> Coder:
        packer = zlib.compressobj(level, zlib.DEFLATED, 31)
        return Coder(packer.compress, partial(packer.flush, zlib.Z_SYNC_FLUSH), packer.flush)

    return make


def _brotli(level: int) -> Callable[[], Coder]:
    import brotli

    def make() -> Coder:
        packer = brotli.Compressor(quality=level)
        return Coder(packer.process, packer.flush, packer.finish)

    return make


def _zstd(level: int) -> Callable[[], Coder]:
    if not 1 <= level <= 19:
        raise ValueError("1 to 19: higher ones need more memory than browsers give (RFC 9659)")
    try:
        from compression import zstd  # from 3.14 on
    except ImportError:
        from backports import zstd  # the same for older ones

    def make() -> Coder:
        packer = zstd.ZstdCompressor(level=level)
        return Coder(packer.compress, partial(packer.flush, packer.FLUSH_BLOCK), packer.flush)

    return make

"""Fields: the header fields that describe a file (RFC 9110 §8): type, ETag, Last-Modified, and the rest.

They are made from facts alone, checked once, and cached with the head of a whole answer: the same file gets
the same at no cost. The facts are those of the file that is open, so no answer is ever out of date.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from kissapi.http.dates import http_date
from kissapi.http.head import encode_head
from kissapi.http.response import Response

# The characters that filename* may have as they are (RFC 8187 §3.2.1).
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~")


class FileFields(NamedTuple):
    """The fields of a file, and the head of the answer that is all of it, up to what the connection adds."""

    fields: Mapping[str, str]
    head: bytes


@lru_cache(1024)
def file_fields(
    kind: str,
    mtime_ns: int,
    size: int,
    coding: str | None,
    varies: bool,
    cache_control: str | None,
    download: str | None = None,
) -> FileFields:
    """The fields of a file of the type `kind`. Raises `ValueError` for a text that no field may have.

    `coding` is its Content-Encoding; `varies` says that another client may get it in another coding.
    """
    etag = f"{mtime_ns:x}-{size:x}" if coding is None else f"{mtime_ns:x}-{size:x}-{coding}"
    modified = min(mtime_ns // 10**9, int(time.time()))  # never in the future (RFC 9110 §8.8.2.1)
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
    response = Response(b"", 200, fields)
    return FileFields(dict(response.headers), encode_head(response, b"", size))


def _disposition(name: str) -> str:
    """Content-Disposition: save as `name` (RFC 6266 §4.3); filename* if a quoted string cannot hold it."""
    plain = "".join(char if " " <= char <= "~" and char not in '"\\/%' else "_" for char in name)
    field = f'attachment; filename="{plain}"'
    if plain != name:
        data = name.encode("utf-8", "surrogateescape")
        escaped = "".join(chr(octet) if octet in _PLAIN else f"%{octet:02X}" for octet in data)
        field += f"; filename*=UTF-8''{escaped}"
    return field

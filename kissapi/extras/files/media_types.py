"""Media types: the Content-Type of a file, by the extension of its name.

The usual types are listed here, so that they are the same on every machine; only others are looked up in the
tables of the system.
"""

from __future__ import annotations

from functools import lru_cache

UNKNOWN = "application/octet-stream"

TYPES = {
    "aac": "audio/aac", "apng": "image/apng", "atom": "application/atom+xml", "avif": "image/avif",
    "bin": UNKNOWN, "bmp": "image/bmp", "css": "text/css", "csv": "text/csv",
    "eot": "application/vnd.ms-fontobject", "epub": "application/epub+zip", "flac": "audio/flac",
    "gif": "image/gif", "gz": "application/gzip", "htm": "text/html", "html": "text/html",
    "ico": "image/x-icon", "ics": "text/calendar", "jpeg": "image/jpeg", "jpg": "image/jpeg",
    "js": "text/javascript", "json": "application/json", "jsonld": "application/ld+json",
    "jxl": "image/jxl", "m4a": "audio/mp4", "map": "application/json", "md": "text/markdown",
    "mjs": "text/javascript", "mov": "video/quicktime", "mp3": "audio/mpeg", "mp4": "video/mp4",
    "oga": "audio/ogg", "ogg": "audio/ogg", "ogv": "video/ogg", "opus": "audio/ogg", "otf": "font/otf",
    "pdf": "application/pdf", "png": "image/png", "rss": "application/rss+xml", "svg": "image/svg+xml",
    "tar": "application/x-tar", "tif": "image/tiff", "tiff": "image/tiff", "ttf": "font/ttf",
    "txt": "text/plain", "vtt": "text/vtt", "wasm": "application/wasm", "wav": "audio/wav",
    "weba": "audio/webm", "webm": "video/webm", "webmanifest": "application/manifest+json",
    "webp": "image/webp", "woff": "font/woff", "woff2": "font/woff2", "xhtml": "application/xhtml+xml",
    "xml": "application/xml", "zip": "application/zip", "zst": "application/zstd",
}  # fmt: skip


@lru_cache(1024)
def type_of(path: str) -> str:
    """The Content-Type of the file at `path`; text is assumed to be UTF-8.

    >>> type_of("notes.TXT")
    'text/plain; charset=utf-8'
    """
    _, dot, extension = path.rpartition(".")
    if not dot:
        return UNKNOWN
    kind = TYPES.get(extension.lower()) or _other_type(extension.lower())
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _other_type(extension: str) -> str:
    try:
        from mimetypes import guess_type  # reads the tables of the system at its first use
    except ImportError:
        return UNKNOWN
    return guess_type(f"name.{extension}")[0] or UNKNOWN


@lru_cache
def is_compact(kind: str) -> bool:
    """Whether files of the type `kind` are compressed already, so that a coding gains nothing."""
    return kind.startswith(("image/", "video/", "audio/", "font/woff")) and kind != "image/svg+xml"

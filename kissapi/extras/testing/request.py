"""Request: the bytes of a request: its target, its head, and its body in the chunks that are sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, urlencode

from kissapi.http import json_codec
from kissapi.http.grammar import is_token
from kissapi.http.limits import Limits

if TYPE_CHECKING:
    from kissapi.http.headers import Headers

Fields = Mapping[str, str] | Iterable[tuple[str, str]]
Query = Mapping[str, Any] | Iterable[tuple[str, Any]]
Data = str | bytes | bytearray | memoryview
Body = Data | Iterable[Data]


Upload = Data | tuple[str, Data] | tuple[str, Data, str]  # (name of the file, its bytes, its content type)
Files = Mapping[str, Upload | list[Upload]]


class Options(TypedDict, total=False):
    """The options of every request; see `Client.stream`."""

    headers: Fields
    body: Body | None
    json: Any
    form: Query | None
    files: Files | None
    query: Query | None
    follow_redirects: bool


def encode_target(path: str, query: Query | None) -> str:
    """The request target (RFC 9112 §3.2). Raises `ValueError` for a path without a slash."""
    if not path.startswith("/") and path != "*":
        raise ValueError(f'a path starts with a slash, not as {path!r} does: client.get("/users")')
    # A fragment stays with the client (RFC 9110 §7.1): the path may come from a Location field.
    target = quote(path.partition("#")[0], safe="%/:?[]@!$&'()*+,;=~")
    if query is not None:
        target += ("&" if "?" in target else "?") + _encode_pairs(query)
    return target


def encode_head(method: str, target: str, fields: Headers) -> bytes:
    """The head (RFC 9112 §2.1). Raises `ValueError` for a method that is no token."""
    if not is_token(method):
        raise ValueError(f'{method!r} is no method: "GET", "POST", …')
    lines = [f"{method} {target} HTTP/1.1", *(f"{name.title()}: {text}" for name, text in fields.lines())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def choose_body(
    body: Body | None, json: Any, form: Query | None, files: Files | None, fields: Headers
) -> Body | None:
    """The body that one of them gives, form and files together; sets its Content-Type.

    Raises `TypeError` for two of them.
    """
    if sum((body is not None, json is not ..., form is not None or files is not None)) > 1:
        raise TypeError("a request has one body: body, json, or form and files")
    if files is not None:
        data = _encode_files(form or (), files)
        fields.setdefault("content-type", f"multipart/form-data; boundary={BOUNDARY}")
        return data
    if json is not ...:
        fields.setdefault("content-type", "application/json")
        return json_codec.to_json(json)
    if form is not None:
        fields.setdefault("content-type", "application/x-www-form-urlencoded")
        return _encode_pairs(form)
    return body


def encode_body(method: str, body: Body | None, fields: Headers) -> Iterator[bytes]:
    """The chunks in which `body` is sent; sets the framing field in `fields` (RFC 9112 §6)."""
    if body is None:
        if method in ("POST", "PUT", "PATCH"):
            fields.setdefault("content-length", "0")
        return iter(())
    if isinstance(body, Mapping):
        raise TypeError("a mapping is json= or form=; body is text, bytes, or pieces of them")
    if isinstance(body, (str, bytes, bytearray, memoryview)):
        data = _to_bytes(body)
        if "transfer-encoding" not in fields:
            fields.setdefault("content-length", str(len(data)))
        return (data[start : start + Limits.read_size] for start in range(0, len(data), Limits.read_size))
    pieces = (_to_bytes(piece) for piece in iter(body))
    if "content-length" in fields:
        return filter(None, pieces)
    fields["transfer-encoding"] = "chunked"
    return _to_chunks(pieces)


def _to_bytes(data: Data) -> bytes:
    if not isinstance(data, (str, bytes, bytearray, memoryview)):  # of a number, bytes() makes so many zeros
        raise TypeError(f"a body is text, bytes, or pieces of them, not {data!r}")
    return data.encode() if isinstance(data, str) else bytes(data)


def _to_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


BOUNDARY = "kissapi-boundary-of-a-form"


def _encode_files(form: Query, files: Files) -> bytes:
    """A form with files (RFC 7578), as browsers write it."""
    pairs = form.items() if isinstance(form, Mapping) else form
    parts = [
        (_quote(name), "", _to_bytes(value if isinstance(value, (str, bytes)) else str(value)))
        for name, values in pairs
        for value in (values if isinstance(values, (list, tuple)) else [values])
    ]
    for name, uploads in files.items():
        for upload in uploads if isinstance(uploads, list) else [uploads]:
            filename, data, *kind = upload if isinstance(upload, tuple) else (name, upload)
            content_type = kind[0] if kind else "application/octet-stream"
            fields = f'; filename="{_quote(filename)}"\r\nContent-Type: {content_type}'
            parts.append((_quote(name), fields, _to_bytes(data)))
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    for _, _, data in parts:
        if BOUNDARY.encode() in data:
            raise ValueError(f"a form of this client may not contain {BOUNDARY}")
    pieces = [f'{head}"{name}"{fields}\r\n\r\n'.encode() + data + b"\r\n" for name, fields, data in parts]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


def _quote(name: str) -> str:
    """As browsers do (HTML, "multipart form data")."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _encode_pairs(pairs: Query) -> str:
    """Names and values as a form or a query has them; a list is several values of one name."""
    pairs = list(pairs.items() if isinstance(pairs, Mapping) else pairs)
    for name, value in pairs:
        if value is None:
            raise TypeError(f'{name!r} is None, which no query and no form can say: leave it out, or send ""')
    return urlencode(pairs, doseq=True)

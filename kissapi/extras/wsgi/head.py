"""Head: the status and the fields of an answer, as a WSGI app gives them to `start_response`."""

from __future__ import annotations

from kissapi.http.response import Response


def response_of(status: str, headers: list[tuple[str, str]]) -> Response:
    """A response without a body. Raises `ValueError` or `TypeError` for what may not travel in HTTP."""
    if not isinstance(status, str):
        raise TypeError(f'a status is text such as "200 OK", not {status!r}')
    code = status[:3]
    if not (code.isascii() and code.isdigit()):
        raise ValueError(f'a status is text such as "200 OK", not {status!r}')
    return Response(None, int(code), [(name, _text(value)) for name, value in headers])


def _text(value: str) -> str:
    """The text of a value, whose octets PEP 3333 has as characters of ISO-8859-1."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("latin-1").decode("utf-8", "surrogateescape")
    return value

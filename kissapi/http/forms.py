"""Forms: the fields and files of a body, by its content type (HTML, "Form submission"; RFC 7578).

A urlencoded form is read here. A multipart form is read by `kissapi.http.multipart`, which is imported for
the first one that comes. `Request` has the results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kissapi.core import Fail
from kissapi.http import uri
from kissapi.http.given import Files, Form

if TYPE_CHECKING:
    from kissapi.http.limits import Limits

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class Fields(NamedTuple):
    """All of a form: the values of each field, and the files of each, in the order they came."""

    form: Form[list[str]]
    files: Files[list[Any]]


def read_form(content_type: str | None, body: bytes, limits: type[Limits] | Limits) -> Fields:
    """The form in `body`. No body at all is an empty one.

    Raises `Fail`: 400 for what is no form, or has too many fields; 413 for one that is too large; 415 for
    another content type.

        >>> from kissapi.http.limits import Limits
        >>> read_form("application/x-www-form-urlencoded", b"a=1&a=2", Limits()).form
        {'a': ['1', '2']}
    """
    kind = media_type(content_type)
    if kind == URLENCODED:
        return Fields(_read_urlencoded(body, limits), Files())
    if kind == MULTIPART:
        from kissapi.http.multipart import read_multipart

        return read_multipart(content_type or "", body, limits)
    if not body and content_type is None:
        return Fields(Form(), Files())
    raise unsupported(
        content_type, f"{MULTIPART} or {URLENCODED}", "curl -F name=value, or curl -d name=value"
    )


def media_type(content_type: str | None) -> str:
    """The type alone, in lower case."""
    return (content_type or "").partition(";")[0].strip(" \t").lower()


def unsupported(content_type: str | None, wanted: str, hint: str) -> Fail:
    """The answer to a body of another content type."""
    given = f"not {content_type[:80]}" if content_type else "and has no Content-Type"
    return Fail(415, f"Unsupported Media Type: the body must be {wanted}, {given}; {hint}")


def check_field(name: str, size: int, limits: type[Limits] | Limits) -> None:
    """Raise `Fail` for a field with a longer name, or a larger value in bytes, than `limits` allow."""
    if len(name) > limits.max_field_name:
        raise Fail(
            400, f"Bad Request: a field of a form may have a name of {limits.max_field_name} characters"
        )
    if size > limits.max_field:
        raise Fail(
            413, f"Content Too Large: a field of a form may have {limits.max_field} bytes, {name!r} has more"
        )


def _read_urlencoded(body: bytes, limits: type[Limits] | Limits) -> Form[list[str]]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Fail(400, "Bad Request: the form is not UTF-8") from None
    fields: Form[list[str]] = Form(uri.decode_query(text, limits.max_query, "form") if text else ())
    for name, values in fields.items():
        for value in values:
            check_field(name, len(value if value.isascii() else value.encode()), limits)
    return fields

"""Response: what is answered, and its bytes.

The type of a handler's result decides what is sent, never a look at its contents:
`str` and `bytes` are text/plain, `None` is 204, a generator streams, a `Response` is itself, the rest JSON.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from kissapi import core
from kissapi.core import Fail
from kissapi.http.cookies import as_utc, cookie_field
from kissapi.http.dates import http_date
from kissapi.http.headers import Headers, checked_value
from kissapi.http.json_library import to_json

if TYPE_CHECKING:
    from datetime import datetime

    from kissapi.http.request import Request


class Response(core.Response):
    """An answer with status, headers and content type of one's own.

    `body` is `str`, `bytes`, a sync or async iterator of them (sent as it comes), `None` for nothing, or
    anything JSON can say. An iterator is held to the Content-Length that `headers` may have for it.
    `status` is 200 to 599. Raises `ValueError` for a bad status, header name or value,
    and `TypeError` for a body that JSON cannot say.

        return Response("made", 201, {"Location": "/users/7"})
        return Response(png, content_type="image/png")

    All of it may be changed later, by an after hook for example, and is checked and converted then, too.
    """

    __slots__ = ("_body", "_given_type", "_headers", "_status", "_usual_type")

    # What was raised, if this answers an exception: for around hooks, while they run.
    error: BaseException | None = None
    _prepared = False  # `prepare` has been called

    def __init__(
        self,
        body: Any = b"",
        status: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        content_type: str | None = None,
    ) -> None:
        self._headers: Headers | None = Headers(headers) if headers else None  # made when it is asked for
        self._body: Any
        self._body, self._usual_type = _converted(body)
        # Its setter is a call of a Python function: what is usual does without.
        if type(status) is int and 200 <= status <= 599:
            self._status = status
        else:
            self.status = status
        self._given_type = None if content_type is None else checked_value("content-type", content_type)
        if headers and content_type is not None:
            self.content_type = content_type

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.content_type}>"

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"status must be a number from 200 to 599, not {status!r}")
        self._status = int(status)  # an Enum of int is shown by its name

    @property
    def headers(self) -> Headers:
        """The fields, but for those that are the server's own (framing and Date)."""
        if self._headers is None:
            self._headers = self._make_headers()
        return self._headers

    @headers.setter
    def headers(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] | None) -> None:
        self._headers = Headers(fields or ())
        self._given_type = None

    def _make_headers(self) -> Headers:
        headers = Headers()
        if self._given_type is not None:
            headers["content-type"] = self._given_type
        return headers

    @property
    def body(self) -> bytes | Iterator[Any] | AsyncIterator[Any]:
        """What is sent: bytes, or what gives them piece by piece."""
        body: bytes | Iterator[Any] | AsyncIterator[Any] = self._body
        return body

    @body.setter
    def body(self, result: Any) -> None:
        self._body, self._usual_type = _converted(result)

    @classmethod
    def of(cls, result: Any) -> Self:
        """A handler's result, or a `Fail`, as a response: for hooks, which get results as they are.

        A response is itself, `None` is 204. Raises `TypeError` or `ValueError` for what JSON cannot express,
        and for a tuple: other frameworks take its second item for a status, JSON would hide that.

            @router.after
            async def tag(req: Request, result: object) -> Response:
                response = Response.of(result)
                response.headers["x-tag"] = "blue"
                return response
        """
        if isinstance(result, cls):
            return result
        if isinstance(result, Fail):
            result.__traceback__ = None  # a `Fail` that is raised again and again would keep every frame
            return cls(result.data, result.status, result.headers)
        if type(result) is tuple:
            raise TypeError(_of_tuple(result))
        return cls(result, 204 if result is None else 200)

    def _own(self) -> Response:
        """A copy for one answer: hooks change it, and an app may return the same response again and again.

        One of a subclass is itself.
        """
        if type(self) is not Response:
            return self
        copy = Response.__new__(Response)
        copy._status, copy._body, copy._usual_type = self._status, self._body, self._usual_type
        copy._headers = None if self._headers is None else self._headers.copy()
        copy._given_type = self._given_type
        return copy

    @property
    def content_type(self) -> str | None:
        """The Content-Type field; if none was set, the usual one of the body."""
        if self._headers is None:
            return self._usual_type if self._given_type is None else self._given_type
        return self._headers.get("content-type", self._usual_type)

    @content_type.setter
    def content_type(self, value: str) -> None:
        self.headers["content-type"] = value

    def prepare(self, request: Request) -> None:
        """What is left to do once it is certain that this answers `request`; for subclasses.

        It may still change status, headers and body. What it raises is answered in its place.
        """

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = True,
        same_site: str | None = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Add a cookie (RFC 6265 §4.1, RFC 6265bis for prefixes and SameSite).

        `max_age` is in seconds, `expires` a datetime with a time zone; with neither, the cookie ends with the
        browser. `same_site` is "Strict", "Lax", "None", or None to leave it out.
        Raises `TypeError` for a value that is no `str`, and `ValueError` for all that a browser would drop or
        ignore without a word: a name that is no token, a character that no cookie may hold, a path that does
        not begin with "/", SameSite=None or `partitioned` without `secure`, a name that begins with
        `__Secure-` or `__Host-` without what that promises.
        """
        field = cookie_field(
            name,
            value,
            max_age=max_age,
            expires=None if expires is None else http_date(as_utc(expires)),
            path=path,
            domain=domain,
            secure=secure,
            http_only=http_only,
            same_site=same_site,
            partitioned=partitioned,
        )
        self.headers.add("set-cookie", field)

    def delete_cookie(
        self,
        name: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = True,
        same_site: str | None = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Tell the browser to drop a cookie: `path`, `domain` and the rest are as it was set with.

        Raises what `set_cookie` raises.
        """
        self.set_cookie(
            name,
            "",
            max_age=0,
            path=path,
            domain=domain,
            secure=secure,
            http_only=http_only,
            same_site=same_site,
            partitioned=partitioned,
        )


def _converted(result: Any) -> tuple[Any, str | None]:
    """(body, content type) of a result; the body is bytes, or a stream that gives them piece by piece."""
    if isinstance(result, str):
        return result.encode(), "text/plain" if result.isascii() else "text/plain; charset=utf-8"
    if type(result) is dict or type(result) is list:  # the usual ones do not wait for what is rare
        return _json_of(result), "application/json"
    if isinstance(result, (bytes, bytearray, memoryview)):
        return bytes(result), "text/plain"
    if result is None:
        return b"", None
    if isinstance(result, (Iterator, AsyncIterator)) or hasattr(result, "send_to"):
        return result, "text/plain; charset=utf-8"  # pieces that are text are sent as UTF-8
    return _json_of(result), "application/json"


def _json_of(value: Any) -> bytes:
    """`value` in JSON. Raises `TypeError` or `ValueError` for what JSON cannot express."""
    try:
        return to_json(value)
    except TypeError as error:
        raise TypeError(
            f"a handler may return str, bytes, None, a generator, a Response or what JSON can say; {error}"
        ) from None


def _of_tuple(result: tuple[Any, ...]) -> str:
    """What to write in place of a tuple."""
    shown = ", ".join(["…", *(repr(each) for each in result[1:] if isinstance(each, int))])
    return f"a handler returned a tuple: return Response({shown}) for a status, or a list for a JSON array"


def redirect(url: str, status: int = 302) -> Response:
    """Send the client to `url`; 301 and 308 for good, 303 after a POST, 302 and 307 for now.

    What may not stand in a URI is percent-encoded: `redirect("/v/ann lee")`. It may lead to any site: look at
    a `url` that a client has sent. Raises `ValueError` for a status that is no redirect.
    """
    if status not in (301, 302, 303, 307, 308):
        raise ValueError(f"{status} is no redirect: use 301, 302, 303, 307 or 308")
    return Response(None, status, {"location": url})


def html(text: str, status: int = 200) -> Response:
    """A page, `text` as text/html in UTF-8: `return html("<h1>Hello</h1>")`."""
    if not isinstance(text, str):
        raise TypeError(f"a page is a str, not {type(text).__name__}")
    return Response(text, status, content_type="text/html; charset=utf-8")

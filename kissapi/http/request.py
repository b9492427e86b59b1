"""Request: one request of HTTP, as handlers and hooks get it.

A plain class: the parser sets what it read; everything derived is worked out when first looked at. What reads
a body that comes piece by piece is a `Body`, so that this module knows no connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from kissapi.core import Fail
from kissapi.http import json_codec, uri
from kissapi.http.app import OfApp
from kissapi.http.extra import Extra
from kissapi.http.given import Cookies, Files, Form, Query, of_json
from kissapi.http.headers import Headers, RequestHeaders
from kissapi.http.hints import Hints
from kissapi.http.limits import Limits
from kissapi.http.link import OfLink
from kissapi.http.once import once
from kissapi.http.urls import Urls

if TYPE_CHECKING:
    from kissapi.backends.threads import Place
    from kissapi.http.files import File
    from kissapi.http.forms import Fields
    from kissapi.http.interfaces import Body
    from kissapi.http.multipart import Part


class _Body:
    """The default of `Request.body`: nothing, or an error where the body is taken piece by piece."""

    def __get__(self, request: Request | None, owner: type) -> bytes:
        if request is not None and request._reader is not None:
            raise RuntimeError(
                f"{request.method} {request.path} takes its body piece by piece: "
                "`async for piece in req.stream()`, for a form `async for part in req.parts()`, "
                "or register the route without stream=True"
            )
        return b""


class Request(Urls, Hints):
    """One request. May be subclassed: `Server(request_class=MyRequest)`.

        @router.post("/users/{id}")
        async def rename(req: Request):
            return {"id": req.params["id"], "name": req.json["name"]}

    `method`, `path` without the query, `query_string` and `http_version` are of the request line.
    `params`, `query`, `headers`, `cookies`, `form` and `files` are mappings; `query_all`, `form_all` and
    `files_all` have all values of each name. `body` is bytes, `text` and `json` are made of it; `stream()`
    and `parts()` take it as it comes. `client` is (address, port), `scheme` "http" or "https", `url` the
    whole URL. `app` is what the app has opened, `state` is for hooks, `route.path` the path of the route,
    `link` the connection. Four come with an extra: `session`, `csrf_token`, `user` (`kissapi.extras.auth`)
    and `id` (`kissapi.extras.request_id`).
    """

    # Class attributes are the defaults: making a request then costs one allocation, not a dozen assignments.
    method: str = "GET"
    path: str = "/"  # canonical (RFC 3986 §6.2.2), without the query string
    query_string: str = ""  # as it came, without the question mark
    http_version: str = "1.1"
    body: bytes = _Body()  # type: ignore[assignment]
    app: Any = OfApp()  # the namespace of its loop; type it in a subclass: `app: MyApp`
    link: Any = OfLink()  # of a protocol that is not HTTP; type it in a subclass: `link: MyLink`
    session: Any = Extra("router.around(sessions(…))")
    user: Any = Extra("a hook that sets it, such as router.around(basic(…))")
    id: str = Extra("router.around(request_id())")  # type: ignore[assignment]
    csrf_token: str = Extra("router.around(csrf())")  # type: ignore[assignment]
    _head: bytes = b"\r\n\r\n"  # as it came, checked
    _received: int = 0  # bytes of it that came, if it did not come in one read
    _sent: int = 0  # bytes of the body of the answer, so far
    _log_ids: Mapping[str, str] = MappingProxyType({})  # for its lines in the log, by name
    _outcome: str = ""  # why it was not answered, or not to the end, and will not be
    _reader: Body | None = None  # of a body that is taken as it comes
    _place: Place | None = None  # of all that may block; see `awaitables.in_thread_of`

    def __init__(self, **attributes: Any) -> None:
        if not attributes:
            return  # as the server makes them
        for name, value in attributes.items():
            # What is no attribute of the class cannot be set; nor can what is worked out each time.
            if name.startswith("_") or isinstance(getattr(type(self), name, property()), property):
                raise TypeError(f"{name!r} is nothing that a request can be made with")
            setattr(self, name, RequestHeaders(value) if name == "headers" else value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.path}>"

    @once
    def params(self) -> dict[str, Any]:
        """The parameters of the path, decoded and converted; set when the route is found."""
        return {}

    @once
    def headers(self) -> Headers:
        """The header fields: lower-case names, looked up in any case; see `Headers`.

        One that is missing answers 400, and is a KeyError. A parser of another protocol may set them:
        `request.headers = RequestHeaders(…)`, or `Headers(…)`. A plain dict does if neither hooks nor
        handlers ask for more than it has.
        """
        return RequestHeaders.from_wire(self._head)

    @property
    def _limits(self) -> type[Limits] | Limits:
        return self._connection.service.limits if self._connection is not None else Limits

    @once
    def query_all(self) -> Query[list[str]]:
        """All values of each query parameter. Raises `Fail(400)` for too many, or what is not UTF-8."""
        if not self.query_string:
            return Query()
        return Query(uri.decode_query(self.query_string, self._limits.max_query))

    @once
    def query(self) -> Query[str]:
        """The first value of each query parameter, blank ones too: `/?a&b=2` → `{"a": "", "b": "2"}`.

        One that is missing answers 400, and is a KeyError.

            page = req.query.get("page", 1, int)  # 1 if it is missing, 400 if it is no number
        """
        values: Query[str] = Query()
        if self.query_string:
            for name, value in uri.pairs(self.query_string, self._limits.max_query):
                if name not in values:
                    values[name] = value
        return values

    @property
    def text(self) -> str:
        """The body as UTF-8 text. Raises `Fail(400)` if it is not."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise Fail(400, "Bad Request: the body is not UTF-8") from None

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces, as it comes, on a route that asks for it with `stream=True`; else in one piece.

        Raises `Fail` if the rest of it does not come: 400, 408 or 413; `RuntimeError` the second time on such
        a route, for what has been taken is gone.

        @router.post("/upload", stream=True, max_body=1 << 30)
        async def upload(req: Request):
            async for piece in req.stream():
                await kissapi.to_thread(file.write, piece)
        """
        if self._reader is not None:
            async for piece in self._reader.stream():
                yield piece
        elif self.body:
            yield self.body

    def after(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call `function(*arguments)` once the answer has been sent, or the handler of a WebSocket has ended.

        If it has been sent already, that is now; if it cannot be sent, never.
        An `async def` runs on the loop, a `def` in a worker thread. What it raises is logged. The server
        waits for it before it stops. Raises `RuntimeError` for a request that no server has made.

            req.after(send_mail, address, "Welcome!")
        """
        if self._connection is None:
            raise RuntimeError("this request did not come over a connection: no answer will be sent")
        self._connection.after(self, function, arguments)

    def on_end(self, function: Callable[[str, int], Any]) -> None:
        """Call `function(outcome, size)` once the answer has ended, whatever became of it, exactly once.

        `outcome` is "sent", or why not all of the answer was sent: "client left", "client takes nothing",
        "cut short" (its stream failed), "stopped" (with the server). `size` is the bytes of its body that
        went out. For a WebSocket that is when its handler has ended. It runs on the loop, `async def` or
        `def`, so a `def` must not block. What it raises is logged. Raises `RuntimeError` for a request that
        no server has made.

            req.on_end(lambda outcome, size: sent_bytes.inc(size))
        """
        if self._connection is None:
            raise RuntimeError("this request did not come over a connection: no answer will be sent")
        self._connection.after(self, function, None)

    @once
    def json(self) -> Any:
        """The value of the JSON body. Raises `Fail(400)`, which says why, if it is none; see `from_json`.

        An object or a list at the top is one, whose missing members answer 400: `req.json["name"]`.
        """
        library = self._connection.service.json if self._connection is not None else None
        return of_json((json_codec.from_json if library is None else library.decode)(self.body))

    @once
    def _fields(self) -> Fields:
        from kissapi.http.forms import read_form

        return read_form(self.headers.get("content-type"), self.body, self._limits)

    @property
    def form_all(self) -> Form[list[str]]:
        """All values of each field of a form."""
        return self._fields.form

    @property
    def files_all(self) -> Files[list[File]]:
        """All files of each field of a form: `<input type=file multiple>` sends several."""
        return self._fields.files

    @once
    def form(self) -> Form[str]:
        """The first value of each field of a form, urlencoded or multipart; its files are in `files`.

        One that is missing answers 400. Multipart needs the package multipart. Raises `Fail`: 400 for what is
        no form, 413 beyond `max_field`, 415 for another content type.

            name = req.form["name"]
        """
        return Form({name: values[0] for name, values in self.form_all.items()})

    @once
    def files(self) -> Files[File]:
        """The first file of each field of a multipart form; one that is missing, or empty, answers 400.

        image = req.files["image"]
        await kissapi.to_thread(image.save, f"uploads/{uuid4()}.png")
        """
        return Files({name: files[0] for name, files in self.files_all.items()})

    def parts(self) -> AsyncIterator[Part]:
        """The parts of a multipart form, fields and files, as they come: for a route with `stream=True`.

        Raises what `form` and `stream` raise.

            async for part in req.parts():
                if part.filename:
                    await part.save(f"uploads/{uuid4()}")
        """
        from kissapi.http.multipart import read_parts

        return read_parts(self.headers.get("content-type"), self.stream(), self._limits)

    @once
    def cookies(self) -> Cookies:
        """The cookies the client sent (RFC 6265 §5.4); of two with one name the first counts.

        One that is missing answers 400, and is a KeyError.
        """
        cookies = Cookies()
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.strip(" \t").partition("=")
            if equals and name:
                if len(value) > 1 and value[0] == value[-1] == '"':
                    value = value[1:-1]
                cookies.setdefault(name, value)
        return cookies

    @property
    def client(self) -> tuple[str, int] | None:
        """Address and port of the client; None for a Unix socket, or where it is not known."""
        peer = self._connection.peer if self._connection is not None else None
        return (peer[0], peer[1]) if isinstance(peer, tuple) and len(peer) >= 2 else None

    @property
    def scheme(self) -> str:
        """`"https"` over TLS, else `"http"`."""
        secure = self._connection and self._connection.transport.get_extra_info("sslcontext")
        return "https" if secure else "http"

    @once
    def state(self) -> SimpleNamespace:
        """A place for what hooks want to hand to the handler: `req.state.user = user`."""
        return SimpleNamespace()

"""Router: what the user registers: routes, hooks and mounted routers.

Law: everything wrong with a registration is said here, when it is made; nothing here runs per request
(that is `dispatch.py`, which compiles a router into a table).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from errno import EACCES
from typing import Any, NamedTuple, TypeVar

from kissapi.handlers import takes_bodies
from kissapi.headers import is_token
from kissapi.path import Segment, parse, spell

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


_SLASH = (Segment("literal", ""),)  # the path "/"


class Hook(NamedTuple):
    """A before or after hook; `nested` ones run for the routers mounted below, too."""

    function: Callable[..., Any]
    nested: bool


class Route(NamedTuple):
    """One registration: `method` and a path lead to a handler of `router`, reached through `chain`.

    `chain` is the routers from the outermost down to `router`, the owner, whose hooks run.
    """

    method: str
    segments: tuple[Segment, ...]
    handler: Callable[..., Any]
    chain: tuple[Router, ...]
    stream: bool = False  # the handler starts at the end of the head, and takes the body as it comes
    max_body: int | None = None  # bytes, in place of the server's limit

    @property
    def router(self) -> Router:
        """The router the route was registered with."""
        return self.chain[-1]

    @property
    def path(self) -> str:
        """The whole path, mount prefixes included: `/api/v1/users/{id}`."""
        return spell(self.segments)

    @property
    def before(self) -> list[Callable[..., Any]]:
        """The hooks that run before the handler, in their order: nested ones from the outermost router in."""
        nested = [hook.function for router in self.chain[:-1] for hook in router._before if hook.nested]
        return nested + [hook.function for hook in self.router._before]

    @property
    def after(self) -> list[Callable[..., Any]]:
        """The hooks that run after the handler, in their order: nested ones from the innermost router out."""
        own = [hook.function for hook in self.router._after]
        above = reversed(self.chain[:-1])
        return own + [hook.function for router in above for hook in router._after if hook.nested]

    @property
    def errors(self) -> list[dict[Any, Callable[..., Any]]]:
        """The error handlers by what they answer, of each router that has some, from the innermost out."""
        return [router._on_error for router in reversed(self.chain) if router._on_error]


class Mount(NamedTuple):
    """A router served below a prefix."""

    segments: tuple[Segment, ...]
    router: Router


class Router:
    """Routes, hooks and mounted routers.

    router = Router()

    @router.get("/users/{id:int}")
    async def user(req: Request):
        return {"id": req.params["id"]}

    root["/api/v1"] = router
    """

    def __init__(self) -> None:
        # In order of registration. The key is what makes two registrations the same one.
        self._entries: dict[object, Route | Mount] = {}
        self._before: list[Hook] = []
        self._after: list[Hook] = []
        self._on_error: dict[int | type[Exception], Callable[..., Any]] = {}
        self._servers = 0  # how many running servers have compiled this router
        self._local_only: str | None = None  # if only this machine may be served: what to say of others

    def __repr__(self) -> str:
        return f"<Router with {len(self._entries)} entries>"

    def get(
        self, path: str, *, stream: bool = False, max_body: int | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for GET, and so for HEAD, on `path`."""
        return self.route(path, ("GET",), stream=stream, max_body=max_body)

    def post(
        self, path: str, *, stream: bool = False, max_body: int | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for POST on `path`."""
        return self.route(path, ("POST",), stream=stream, max_body=max_body)

    def put(
        self, path: str, *, stream: bool = False, max_body: int | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for PUT on `path`."""
        return self.route(path, ("PUT",), stream=stream, max_body=max_body)

    def patch(
        self, path: str, *, stream: bool = False, max_body: int | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for PATCH on `path`."""
        return self.route(path, ("PATCH",), stream=stream, max_body=max_body)

    def delete(
        self, path: str, *, stream: bool = False, max_body: int | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for DELETE on `path`."""
        return self.route(path, ("DELETE",), stream=stream, max_body=max_body)

    def head(
        self, path: str, *, stream: bool = False, max_body: int | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for HEAD on `path`, in place of the one for GET."""
        return self.route(path, ("HEAD",), stream=stream, max_body=max_body)

    def options(
        self, path: str, *, stream: bool = False, max_body: int | None = None
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for OPTIONS on `path`, in place of the answer that comes for free."""
        return self.route(path, ("OPTIONS",), stream=stream, max_body=max_body)

    def route(
        self,
        path: str,
        methods: Iterable[str] = ("GET",),
        *,
        stream: bool = False,
        max_body: int | None = None,
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for several methods: `@router.route("/cart", methods=["GET", "PUT"])`.

        Methods are upper case, here and in requests. With `stream=True` the handler, an `async def`, starts
        when the head of a request is complete, and takes the body as it comes: `req.stream()`. `max_body`, in
        bytes, takes the place of the server's limit.
        """
        if isinstance(methods, str) or not (names := [_method(name) for name in methods]):
            raise ValueError(f'methods is a list such as ["GET", "PUT"], not {methods!r}')
        parse(path)  # so that a wrong path is reported where it stands

        def register(handler: HandlerT) -> HandlerT:
            for name in names:
                self._add(name, path, handler, stream, max_body)
            return handler

        return register

    def add_route(
        self,
        method: str,
        path: str,
        handler: Callable[..., Any],
        *,
        stream: bool = False,
        max_body: int | None = None,
    ) -> None:
        """Register `handler` for `method` on `path`. Of two for both the last one wins, with a warning.

        Raises `TypeError` for a handler that cannot be called, or takes no body as it comes though
        `stream=True` says so; `ValueError` for a path of a wrong form; `RuntimeError` while a server runs:
        routes are compiled when it starts.
        """
        self._add(_method(method), path, handler, stream, max_body)

    def _add(
        self, method: str, path: str, handler: Callable[..., Any], stream: bool, max_body: int | None
    ) -> None:
        self._check_open()
        if max_body is not None and (
            isinstance(max_body, bool) or not isinstance(max_body, int) or max_body < 0
        ):
            raise ValueError(f"max_body is a number of bytes, not {max_body!r}")
        if not callable(handler):
            raise TypeError(f"the handler of {method} {path} is {handler!r}, which cannot be called")
        if stream and (hasattr(handler, "_websocket") or not takes_bodies(handler)):
            raise TypeError(
                f"the handler of {method} {path} is no `async def`, and no other takes a body as it comes: "
                "make it one, or register it without stream=True"
            )
        segments = parse(path)
        key = method, shape_of(segments)
        if key in self._entries:
            warnings.warn(f"{method} {path} is registered twice; the last one wins", stacklevel=3)
            del self._entries[key]  # so that the new one stands last
        self._entries[key] = Route(method, segments, handler, (self,), stream, max_body)

    def websocket(
        self,
        path: str,
        *,
        origins: Collection[str] | None = None,
        subprotocols: Sequence[str] = (),
        max_message: int = 1 << 20,
        ping_interval: float | None = 20.0,
        ping_timeout: float = 20.0,
        compress: bool = True,
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for the clients that open a WebSocket on `path` (RFC 6455). It needs wsproto.

        Pages of the same host may connect, and clients that are no browsers; `origins` names others instead:
        `["https://example.org"]`, or `"*"` for all. Of `subprotocols` the first that the client knows is
        taken. A message may have `max_message` bytes, when inflated if it was compressed, which `compress`
        allows. Who has not been heard of for `ping_interval` seconds (None: never) gets a ping, and is left
        if nothing comes for `ping_timeout` more. Before hooks run, and may refuse with `Fail`; after hooks
        get the 101. Raises `ImportError` without wsproto, `TypeError` for a handler that is no `async def`,
        `ValueError` for a setting that makes no sense.

            @router.websocket("/echo")
            async def echo(ws: WebSocket):
                async for message in ws:
                    await ws.send(message)
        """
        from kissapi.extras.websocket import upgrader

        parse(path)
        make = upgrader(
            origins=origins,
            subprotocols=subprotocols,
            max_message=max_message,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            compress=compress,
        )

        def register(handler: HandlerT) -> HandlerT:
            self._add("GET", path, make(handler), False, None)
            return handler

        return register

    def mount(self, prefix: str, router: Router) -> None:
        """Serve `router` below `prefix`, which may have parameters; `root[prefix] = router` does the same.

        Both `/api` and `/api/` reach the `/` of a router mounted at `/api`. Raises `TypeError` for what is no
        router, `ValueError` for a router that would end up inside itself.
        """
        self._check_open()
        if not isinstance(router, Router):
            raise TypeError(f"only a Router can be mounted, not {router!r}")
        if not isinstance(prefix, str):
            raise TypeError(f'a prefix is a string such as "/api", not {prefix!r}')
        prefix = "/" + prefix.strip("/")
        segments = parse(prefix) if prefix != "/" else ()
        if any(segment.kind == "path" for segment in segments):
            raise ValueError(f"a prefix cannot take the rest of the path: {prefix!r}")
        if router is self or self in router._below():
            raise ValueError(f"mounting at {prefix!r} would put a router inside itself")
        entry = Mount(segments, router)
        self._entries[entry] = entry

    __setitem__ = mount

    def add_hook(self, kind: str, function: Callable[..., Any], nested: bool = False) -> None:
        """Run `function` "before" or "after" each handler of this router, in the order they were added.

        A before hook gets the request; an after hook gets (request, result) and may return another result.
        `nested=True` makes it run for the routers mounted below, too: before hooks from the outermost router
        in, after hooks from the innermost out. Raises `ValueError` for another kind.
        """
        self._check_open()
        if kind not in ("before", "after"):
            raise ValueError(f'a hook is "before" or "after", not {kind!r}')
        if not callable(function):
            raise TypeError(f"the {kind} hook is {function!r}, which cannot be called")
        (self._before if kind == "before" else self._after).append(Hook(function, nested))

    def before(self, function: HandlerT) -> HandlerT:
        """As a decorator: `@router.before` is `add_hook("before", function)`."""
        self.add_hook("before", function)
        return function

    def after(self, function: HandlerT) -> HandlerT:
        """As a decorator: `@router.after` is `add_hook("after", function)`."""
        self.add_hook("after", function)
        return function

    def on_error(self, what: int | type[Exception]) -> Callable[[HandlerT], HandlerT]:
        """Answer a status, or an exception, of this router and those below with what a function returns.

        It gets (request, error), sync or async. What it returns is sent with the status of the error (500 for
        what is no `Fail`), unless it is a `Response` or a `Fail`. The innermost router that has one answers;
        404 and 405 for paths that nobody has are the outermost router's. It is asked once for a request, up
        to the first byte of the answer: for generators, conversion, files and bodies as well. A message
        that cannot even be read never comes to a router. Raises `TypeError` for anything but a status or a
        class of exceptions.

            @router.on_error(404)
            async def missing(req: Request, error: Fail):
                return {"error": f"nothing at {req.path}"}
        """
        self._check_open()
        is_class = isinstance(what, type) and issubclass(what, Exception)
        if not is_class and (isinstance(what, bool) or not isinstance(what, int) or not 400 <= what <= 599):
            raise TypeError(f"on_error takes a status from 400 to 599 or a class of exceptions, not {what!r}")

        def register(function: HandlerT) -> HandlerT:
            self._on_error[what] = function
            return function

        return register

    def routes(self) -> Iterator[Route]:
        """Every route that can be reached from here, those of mounted routers included."""
        return self._walk((), (self,))

    def _walk(self, prefix: tuple[Segment, ...], chain: tuple[Router, ...]) -> Iterator[Route]:
        for entry in self._entries.values():
            segments = prefix + entry.segments
            if isinstance(entry, Mount):
                yield from entry.router._walk(segments, (*chain, entry.router))
                continue
            yield entry._replace(segments=segments, chain=chain)
            if prefix and entry.segments == _SLASH:
                yield entry._replace(segments=prefix, chain=chain)  # "/api" as well as "/api/"

    def _below(self) -> Iterator[Router]:
        for entry in self._entries.values():
            if isinstance(entry, Mount):
                yield entry.router
                yield from entry.router._below()

    def _check_open(self) -> None:
        if self._servers:
            raise RuntimeError(
                "this router is being served: register routes, mounts and hooks before the server starts"
            )

    def _check_addresses(self, names: Iterable[Any]) -> None:
        """Raise `PermissionError` if other machines could reach what is for this one alone."""
        for router in (self, *self._below()):
            for name in names:
                # What a socket says of itself: (host, port, …), or the path of a Unix socket.
                if router._local_only is None or not isinstance(name, tuple):
                    continue
                if not str(name[0]).startswith("127.") and name[0] != "::1":
                    raise PermissionError(EACCES, router._local_only.format(f"{name[0]}:{name[1]}"))

    def _serve(self, change: int) -> None:
        """Note that a server has started (1) or stopped (-1) serving this router and those below."""
        for router in {self, *self._below()}:
            router._servers += change


def shape_of(segments: tuple[Segment, ...]) -> tuple[str, ...]:
    """What two paths that match the same requests have in common: `/{a}/x` and `/{b}/x` are one shape."""
    return tuple(segment.text if segment.kind == "literal" else "{" + segment.kind for segment in segments)


def _method(name: str) -> str:
    if not isinstance(name, str) or not is_token(name):
        raise ValueError(f'{name!r} is no method: write "GET", "POST", … (RFC 9110 §9.1)')
    return name.upper()

"""Router: what an app registers: routes, hooks and mounted routers.

What is wrong with a registration is an error where it is made. Nothing here runs per request: when a server
starts, `Dispatch` compiles the router into a table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from errno import EACCES
from typing import TYPE_CHECKING, Any

from kissapi.backends.handlers import takes_bodies
from kissapi.http.grammar import is_token
from kissapi.routing.converters import add_converter
from kissapi.routing.fit import fitted
from kissapi.routing.hooks import Handler, HandlerT, Hooks, WebSocketT
from kissapi.routing.lifespan import Lifespan, Step
from kissapi.routing.mounts import Mount, twins
from kissapi.routing.options import AnyRouteOptions, RouteOptions, read_options
from kissapi.routing.path import Segment, parse
from kissapi.routing.route import ANY, Route, shape_of

if TYPE_CHECKING:
    from typing import Unpack

_SLASH = (Segment("literal", ""),)  # the path "/"


class Router(Hooks, Lifespan):
    """Routes, hooks and mounted routers.

    router = Router()

    @router.get("/users/{id:int}")
    async def user(req: Request):
        return {"id": req.params["id"]}

    root["/api/v1"] = router
    """

    def __init__(self) -> None:
        super().__init__()
        # In order of registration. The key is what makes two registrations the same one.
        self._entries: dict[object, Route | Mount] = {}
        self._steps: list[Step] = []
        self.local_only: str | None = None  # if only this machine may be served: what to say of others

    def __repr__(self) -> str:
        return f"<Router with {len(self._entries)} entries>"

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for GET, and so for HEAD, on `path`; `options` are those of `route`.

        The handler takes the request, and by name and type what else it needs of it: parts of the path, the
        query, headers. A `def` runs in a worker thread. It returns text, what JSON can say, or a `Response`.

            @router.get("/orders/{id}", before=[authenticate])
            async def order(req: Request, id: int, full: bool = False) -> dict[str, Any]:
                return {"id": id, "full": full}
        """
        return self._decorator(path, ("GET",), options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for POST on `path`; `options` are those of `route`.

        An argument that is a dataclass, a Struct or a model is the JSON body, one marked `Form()` a form.

            @router.post("/orders", responses={201: Order})
            async def add(req: Request, order: NewOrder) -> Response:
                return Response(save(order), 201)
        """
        return self._decorator(path, ("POST",), options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for PUT on `path`; `options` are those of `route`."""
        return self._decorator(path, ("PUT",), options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for PATCH on `path`; `options` are those of `route`."""
        return self._decorator(path, ("PATCH",), options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for DELETE on `path`; `options` are those of `route`."""
        return self._decorator(path, ("DELETE",), options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for HEAD on `path`, in place of the one for GET."""
        return self._decorator(path, ("HEAD",), options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for OPTIONS on `path`, in place of the answer that comes for free."""
        return self._decorator(path, ("OPTIONS",), options)

    def route(
        self, path: str, methods: Iterable[str] = ("GET",), **options: Unpack[RouteOptions]
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a handler for several methods: `@router.route("/cart", methods=["GET", "PUT"])`.

        Methods are upper case, here and in requests; "*" is any that has no route of its own on that path,
        HEAD and OPTIONS included. The handler takes the request first, and what else it names is bound by
        type: see `kissapi.routing.arguments`. `options`: with `stream=True` the handler, an
        `async def`, starts when the head of a request is complete, and takes the body as it comes:
        `req.stream()`. `max_body`, in bytes, takes the place of the server's limit. `before`, `after` and
        `around` are lists of hooks of this route alone, inside those of its router. `name` is for
        `req.url_for`. `tags`, `summary` and `responses`, what it may answer by status, describe it:
        `responses={200: Order, 404: "no such order"}`; `hidden=True` leaves it out of descriptions.

            @router.post("/orders", before=[authenticate], max_body=10_000)
            async def order(req: Request) -> dict[str, int]:
                return {"id": 7}
        """
        return self._decorator(path, methods, options)

    def _decorator(
        self, path: str, methods: Iterable[str], options: Mapping[str, Any]
    ) -> Callable[[HandlerT], HandlerT]:
        if isinstance(methods, str) or not (names := [_method(name) for name in methods]):
            raise ValueError(f'methods is a list such as ["GET", "PUT"], not {methods!r}')
        parse(path)  # so that what is wrong is reported where it stands
        fields = read_options(options, RouteOptions)

        def register(handler: HandlerT) -> HandlerT:
            for name in names:
                self._add(name, path, handler, fields)
            return handler

        return register

    def add_route(self, method: str, path: str, handler: Handler, **options: Unpack[RouteOptions]) -> None:
        """Register `handler` for `method` on `path`; `options` are those of `route`.

        Of two for both the last one wins, with a warning. Raises `TypeError` for a handler or a hook that
        cannot be called, or takes no body as it comes though `stream=True` says so; `ValueError` for a path
        of a wrong form; `RuntimeError` while a server runs: routes are compiled when it starts.
        """
        self._add(_method(method), path, handler, read_options(options, RouteOptions))

    def _add(self, method: str, path: str, handler: Callable[..., Any], fields: Mapping[str, Any]) -> None:
        self._check_open()
        if not callable(handler):
            raise TypeError(f"the handler of {method} {path} is {handler!r}, which cannot be called")
        route = Route(method, parse(path), handler, (self,), **fields)
        if route.stream and (route.is_websocket or not takes_bodies(handler)):
            raise TypeError(
                f"the handler of {method} {path} is no `async def`, and no other takes a body as it comes: "
                "make it one, or register it without stream=True"
            )
        route = fitted(route)
        key = method, shape_of(route.segments)
        if key in self._entries:
            warnings.warn(f"{method} {path} is registered twice; the last one wins", stacklevel=3)
            del self._entries[key]  # so that the new one stands last
        self._entries[key] = route

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
        **options: Unpack[AnyRouteOptions],
    ) -> Callable[[WebSocketT], WebSocketT]:
        """Register a handler for the clients that open a WebSocket on `path` (RFC 6455).

        Pages of the same host may connect, and clients that are no browsers; `origins` names others instead:
        `["https://example.org"]`, or `"*"` for all. Of `subprotocols` the first that the client knows is
        taken. A message may have `max_message` bytes, when inflated if it was compressed, which `compress`
        allows. A client that is silent for `ping_interval` seconds gets a ping (None: never), and is cut
        off after `ping_timeout` more seconds of silence. Before hooks run, and may refuse with `Fail`; after
        and around hooks get the 101; `options` are those of `route` but for `stream` and `max_body`. Raises
        `TypeError` for a handler that is no `async def`, `ValueError` for a setting that makes no sense.

            @router.websocket("/echo")
            async def echo(ws: WebSocket):
                async for message in ws:
                    await ws.send(message)
        """
        from kissapi.extras.websocket import upgrader

        parse(path)
        fields = read_options(options, AnyRouteOptions)
        make = upgrader(
            origins=origins,
            subprotocols=subprotocols,
            max_message=max_message,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            compress=compress,
        )

        def register(handler: WebSocketT) -> WebSocketT:
            self._add("GET", path, make(handler), fields)
            return handler

        return register

    @staticmethod
    def converter(name: str, parse: Callable[[str], Any], format: Callable[[Any], str] = str) -> None:  # noqa: A002
        """Make `name` a type of parameters, for all routers: `{day:date}`, in paths registered after it.

        `parse` gives the value of a parameter, from its decoded text, which is never empty; None or a
        `ValueError` says that the path does not match, so that another route is tried. `format` gives the
        text of a value, for `url_for`. Raises `ValueError` for the name of another converter, or no name.

            Router.converter("date", date.fromisoformat, date.isoformat)
        """
        add_converter(name, parse, format)

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
        if router is self or self in router.below():
            raise ValueError(f"mounting at {prefix!r} would put a router inside itself")
        entry = Mount(segments, router)
        for twin in () if entry in self._entries else twins(self._entries, entry):
            warnings.warn(f"{twin} is there twice; the last one wins", stacklevel=2)
        self._entries[entry] = entry

    __setitem__ = mount

    def _mounts(
        self, prefix: tuple[Segment, ...] = (), chain: tuple[Router, ...] = ()
    ) -> Iterator[tuple[tuple[Segment, ...], tuple[Router, ...]]]:
        """(prefix, chain of routers) of this router and of each mounted below."""
        yield prefix, (*chain, self)
        for entry in self._entries.values():
            if isinstance(entry, Mount):
                yield from entry.router._mounts(prefix + entry.segments, (*chain, self))

    def routes(self) -> Iterator[Route]:
        """Every route that can be reached from here, those of mounted routers included."""
        return self._walk((), (self,))

    def _walk(self, prefix: tuple[Segment, ...], chain: tuple[Router, ...]) -> Iterator[Route]:
        for entry in self._entries.values():
            segments = prefix + entry.segments
            if isinstance(entry, Mount):
                yield from entry.router._walk(segments, (*chain, entry.router))
                continue
            route = fitted(entry._replace(segments=segments, chain=chain, mounted=len(prefix)))
            yield route
            takes_rest = entry.method == ANY and entry.segments[0].kind == "path"
            if prefix and (takes_rest or entry.segments == _SLASH):  # "/api" as well as "/api/"
                yield route._replace(segments=route.segments[:-1])

    def url_for(self, name: str | Callable[..., Any], /, **values: Any) -> str:
        """The path of the route `name` below this router; see `Request.url_for`, which knows the prefix, too.

        router.url_for("user", id=7)  # "/users/7"
        """
        from kissapi.routing.names import Names

        return Names(self.routes()).url_for(name, values)

    def below(self) -> Iterator[Router]:
        """The routers mounted here, those mounted in them included; one that stands twice comes twice."""
        for entry in self._entries.values():
            if isinstance(entry, Mount):
                yield entry.router
                yield from entry.router.below()

    def check_addresses(self, names: Iterable[Any]) -> None:
        """Raise `PermissionError` if other machines could reach what is for this one alone."""
        for router in (self, *self.below()):
            for name in names:
                # What a socket says of itself: (host, port, …), or the path of a Unix socket.
                if router.local_only is None or not isinstance(name, tuple):
                    continue
                if not str(name[0]).startswith("127.") and name[0] != "::1":
                    raise PermissionError(EACCES, router.local_only.format(f"{name[0]}:{name[1]}"))

    def count_servers(self, change: int) -> None:
        """Note that a server has started (1) or stopped (-1) serving this router and those below."""
        for router in {self, *self.below()}:
            router._servers += change


def _method(name: str) -> str:
    if not isinstance(name, str) or not is_token(name):
        raise ValueError(f'{name!r} is no method: write "GET", "POST", … (RFC 9110 §9.1)')
    return name.upper()

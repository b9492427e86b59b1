"""Route: one registration, as the table of routes compiles it and `kissapi routes` prints it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from kissapi.routing.hooks import Hooks, RouteHooks
from kissapi.routing.path import Segment, spell

ANY = "*"  # in place of a method: any that has no route of its own on that path


class Route(NamedTuple):
    """One registration: `method` and a path lead to a handler of `router`, reached through `chain`.

    `chain` is the routers from the outermost down to `router`, the owner.
    """

    method: str
    segments: tuple[Segment, ...]
    handler: Callable[..., Any]
    chain: tuple[Hooks, ...]
    stream: bool = False  # the handler starts at the end of the head, and takes the body as it comes
    max_body: int | None = None  # bytes, in place of the server's limit
    hooks: RouteHooks = RouteHooks()  # its own
    # Metadata: no request looks at it.
    name: str | None = None  # for `url_for`; without one, the name of the handler
    tags: tuple[str, ...] = ()
    summary: str | None = None
    # By status: the type of the body, a description, or a `Fail`.
    responses: Mapping[int, Any] = MappingProxyType({})
    hidden: bool = False  # from what describes the app
    mounted: int = 0  # how many of the segments are the prefix of its router

    @property
    def own_handler(self) -> Callable[..., Any]:
        """The handler as the app wrote it: that of a WebSocket is inside one of ours."""
        return getattr(self.handler, "_websocket", self.handler)

    @property
    def is_websocket(self) -> bool:
        """Whether its handler takes a WebSocket, where others take a request."""
        return hasattr(self.handler, "_websocket")

    @property
    def router(self) -> Hooks:
        """The router the route was registered with."""
        return self.chain[-1]

    @property
    def prefix(self) -> tuple[Segment, ...]:
        """Where its router is mounted."""
        return self.segments[: self.mounted]

    @property
    def is_alias(self) -> bool:
        """Whether it is "/api", which reaches the "/" of a router at "/api" as "/api/" does."""
        return 0 < self.mounted == len(self.segments)

    @property
    def path(self) -> str:
        """The whole path, mount prefixes included: `/api/v1/users/{id}`."""
        return spell(self.segments)

    @property
    def before(self) -> list[Callable[..., Any]]:
        """The hooks that run before the handler, in their order: nested ones from the outermost router in."""
        nested = [hook.function for router in self.chain[:-1] for hook in router.before_hooks if hook.nested]
        return [*nested, *(hook.function for hook in self.router.before_hooks), *self.hooks.before]

    @property
    def after(self) -> list[Callable[..., Any]]:
        """The hooks that run after the handler, in their order: nested ones from the innermost router out."""
        own = [*self.hooks.after, *(hook.function for hook in self.router.after_hooks)]
        above = reversed(self.chain[:-1])
        return own + [hook.function for router in above for hook in router.after_hooks if hook.nested]

    @property
    def arounds(self) -> list[Callable[..., Any]]:
        """The around hooks, the outermost first."""
        return [*arounds_of(self.chain), *self.hooks.around]

    @property
    def errors(self) -> list[dict[Any, Callable[..., Any]]]:
        """The error handlers by what they answer, of each router that has some, from the innermost out."""
        return errors_of(self.chain)


def arounds_of(chain: tuple[Hooks, ...]) -> list[Callable[..., Any]]:
    """The around hooks of `chain`, the outermost first: all of its last router, nested ones of the others."""
    return [
        hook.function
        for router in chain
        for hook in router.around_hooks
        if hook.nested or router is chain[-1]
    ]


def errors_of(chain: tuple[Hooks, ...]) -> list[dict[Any, Callable[..., Any]]]:
    """The tables of error handlers of `chain`, from the innermost router out."""
    return [router.error_handlers for router in reversed(chain) if router.error_handlers]


def shape_of(segments: tuple[Segment, ...]) -> tuple[str, ...]:
    """What two paths that match the same requests have in common: `/{a}/x` and `/{b}/x` are one shape."""
    return tuple(segment.text if segment.kind == "literal" else "{" + segment.kind for segment in segments)

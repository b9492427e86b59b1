"""Options: what a route may be registered with beside its method, path and handler, and the checks of it.

Limits and hooks change how a request is served. The rest is metadata, which no request that is served looks
at: `name` is for `req.url_for`, the others for what describes an app, such as `kissapi.extras.openapi`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from kissapi.http.limits import check_number
from kissapi.http.words import did_you_mean
from kissapi.routing.hooks import RouteHooks, hook_list

_HOOKS = ("before", "after", "around")


class AnyRouteOptions(TypedDict, total=False):
    """What every route may be registered with, that of a WebSocket as well; see `Router.route`."""

    name: str | None
    tags: Sequence[str]
    summary: str | None
    responses: Mapping[int, Any]
    hidden: bool
    before: Iterable[Callable[..., Any]]
    after: Iterable[Callable[..., Any]]
    around: Iterable[Callable[..., Any]]


class RouteOptions(AnyRouteOptions, total=False):
    """What a route may be registered with; see `Router.route`."""

    stream: bool
    max_body: int | None


def read_options(options: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """`options`, which are those of `kind`, as fields of a `Route`.

    Raises `TypeError` for what is no option, or a value of the wrong type, `ValueError` for a wrong value.
    """
    fields = dict(options)
    names = kind.__annotations__
    for name in fields:
        if name not in names:
            known = "; @router.route(path, methods=[…]) is for several" if name == "methods" else ""
            known = known or did_you_mean(name, names) or f"; there are {', '.join(names)}"
            raise TypeError(f"this route has no option {name!r}{known}")
    if fields.get("max_body") is not None:
        check_number("max_body", fields["max_body"], 0)
    for name in ("name", "summary"):
        if not isinstance(fields.get(name, ""), (str, type(None))):
            raise TypeError(f"the {name} of a route is a string, not {fields[name]!r}")
    if "tags" in fields:
        fields["tags"] = _tags(fields["tags"])
    if "responses" in fields:
        fields["responses"] = _responses(fields["responses"])
    hooks = {kind: fields.pop(kind, ()) for kind in _HOOKS}
    fields["hooks"] = RouteHooks(**{kind: hook_list(kind, hooks[kind]) for kind in _HOOKS})
    return fields


def _tags(tags: Any) -> tuple[str, ...]:
    found = tuple(tags) if isinstance(tags, Iterable) and not isinstance(tags, str) else (tags, None)
    if not all(isinstance(tag, str) for tag in found):
        raise TypeError(f'tags is a list of strings such as ["orders"], not {tags!r}')
    return found


def _responses(responses: Any) -> dict[int, Any]:
    if not isinstance(responses, Mapping):
        raise TypeError(f'responses are by status: {{404: "no such order"}}, not {responses!r}')
    for status in responses:
        if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
            raise ValueError(f"responses are by status, a number from 100 to 599, not {status!r}")
    return dict(responses)

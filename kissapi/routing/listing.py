"""The routes of a router in words: rows and a table, the names of handlers, hooks and routers.

    from kissapi.routing.listing import table

    print(table(router))

`kissapi routes app:router` prints the table, `kissapi check` names what it finds with `qualified_name`, and
`kissapi.extras.debug` shows the routes on a 404. Nothing here runs while a request is answered as usual.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from kissapi.routing.route import Route
    from kissapi.routing.router import Router


class Row(NamedTuple):
    """One route, in words."""

    method: str  # "WEBSOCKET" for what opens one
    path: str
    name: str  # that `name=` has given it
    handler: str
    hooks: str
    router: str


COLUMNS = tuple(name.upper() for name in Row._fields)


def rows(router: Router) -> list[Row]:
    """Every route that can be reached from `router`, in order of registration.

    Hooks stand in the order in which they run. `…` stands for the handler where some run behind it:
    `around timing, auth, …, add_headers`.
    """
    found = []
    for route in router.routes():
        before, after = hook_names(route)
        hooks = ", ".join([*before, "…", *after] if after else before)
        method = "WEBSOCKET" if route.is_websocket else route.method
        handler, router_of = qualified_name(route.handler), router_name(route.router)
        found.append(Row(method, route.path, route.name or "", handler, hooks, router_of))
    return found


def table(router: Router) -> str:
    """The rows as text, below a line that names the columns; empty columns are left out."""
    lines: list[tuple[str, ...]] = [COLUMNS, *rows(router)]
    columns = [column for column in zip(*lines, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    )


def hook_names(route: Route) -> tuple[list[str], list[str]]:
    """The names of the hooks that run before, arounds included, and after the handler of `route`."""
    before = [f"around {qualified_name(hook)}" for hook in route.arounds]
    before += [qualified_name(hook) for hook in route.before]
    return before, [qualified_name(hook) for hook in route.after]


def qualified_name(function: Any) -> str:
    """Where a handler or hook is defined: `app.users.show`."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = type(function)
    return f"{function.__module__}.{function.__qualname__}"


def router_name(router: object) -> str:
    """The module and variable that a router is in, `app:router`; "" for one that is in none."""
    for name, module in list(sys.modules.items()):
        for variable, value in list(getattr(module, "__dict__", {}).items()):
            if value is router and name.partition(".")[0] != "kissapi":
                return f"{name}:{variable}"
    return ""

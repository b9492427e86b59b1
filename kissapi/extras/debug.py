"""Debug: what went wrong, shown to the client: the traceback of a 500, the routes there are on a 404.

    from kissapi.extras.debug import debug

    debug(router)  # or Server(debug=True), or kissapi app:router --debug

A browser gets a page with the source and the variables of each step; curl and all else get text. It is for
your own machine: variables hold secrets, sooner or later. So a server that other machines can reach refuses
to start with it, and a request with a Host that is no name of this machine is answered as without it (a page
of that name could read the answer: DNS rebinding), unless it is forced.

What the app answers itself stays: its own `on_error` for a class of exceptions or for 404, and every `Fail`.
Only its page for 500 gives way to the traceback. The log is the same as without it.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterator, Mapping
from itertools import islice
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from kissapi.backends.handlers import as_coroutine_function
from kissapi.core import Fail
from kissapi.http.authority import is_loopback
from kissapi.http.response import Response
from kissapi.log.tracebacks import is_the_apps, traceback_text
from kissapi.routing.listing import COLUMNS, hook_names, qualified_name, rows, table

try:
    from html import escape
except ImportError:
    from kissapi.compat.html import escape

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.routing.route import Route
    from kissapi.routing.router import Router

__all__ = ["debug"]

AROUND = 5  # lines of source above and below the one that matters
LONGEST = 400  # characters of a variable; a page of a megabyte is of no use
MOST = 40  # variables of one step, and steps from each end of a recursion


def debug(router: Router, force: bool = False) -> None:
    """Answer what `router` and those mounted below raise with a traceback, and 404 with their routes.

    A server that listens where other machines can reach it raises `PermissionError` when it starts, and a
    request for another Host than this machine is answered as without it; `force=True` lifts both. Raises
    `RuntimeError` while a server runs.

        if os.environ.get("DEBUG"):
            debug(router)
    """
    for each in (router, *router.below()):
        # A page for 500 would come before the traceback, wherever it is.
        if Exception not in each.error_handlers and (each is router or 500 in each.error_handlers):
            each.on_error(Exception)(_Failure(router, each.error_handlers))
    if 404 not in router.error_handlers:
        router.on_error(404)(_Missing(router))
    router.local_only = (
        None
        if force
        else "debug shows source and variables to every client, and other machines can reach {}: "
        'listen on 127.0.0.1, or force it: --debug=force, Server(debug="force"), debug(router, force=True)'
    )


def _may_see(request: Request, router: Router) -> bool:
    """Whether the client may be shown what `debug(router)` shows; if not, the log says what to do."""
    host = request.headers.get("host")
    # No Host: no browser, so no page that could be rebound.
    if router.local_only is None or host is None or is_loopback(host):
        return True
    assert request._connection is not None
    request._connection.service.log.warning(
        f"debug shows nothing to {host}, which is no name of this machine alone: use localhost, or force it: "
        '--debug=force, Server(debug="force"), debug(router, force=True)'
    )
    return False


class _Failure:
    """Answers an exception that the app has no answer to; `table` has its page for 500, if there is one."""

    def __init__(self, router: Router, table: Mapping[Any, Any]) -> None:
        self.router = router
        self.table = table

    async def __call__(self, request: Request, error: Exception) -> Any:
        if isinstance(error, Fail):
            return error
        if not _may_see(request, self.router):
            page = self.table.get(500)
            if page is None:
                return Fail(500, "Internal Server Error")
            return await as_coroutine_function(page)(request, error)
        assert request._connection is not None
        route = request.route.route if request.route is not None else None
        title = "".join(traceback.format_exception_only(error)).strip()
        whole = traceback_text(error) or f"{title}\n"
        if not _wants_page(request):
            return _text(f"{whole}\n{_facts_as_text(_facts(request, route))}", 500)
        sections: list[str] = []
        each: BaseException | None = error
        seen: set[int] = set()
        while each is not None and id(each) not in seen:
            seen.add(id(each))
            what = "".join(traceback.format_exception_only(each)).strip()
            heading = "Traceback" if each is error else f"… which came of {what}"
            sections.append(_section(heading, "".join(_steps(each.__traceback__))))
            each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        sections.append(_section("Request", _pairs(_facts(request, route))))
        sections.append(f"<details><summary>As text</summary><pre>{escape(whole)}</pre></details>")
        return _page(title, sections, 500)


class _Missing:
    """Answers a 404 of the router, not one that a handler has raised."""

    def __init__(self, router: Router) -> None:
        self.router = router

    async def __call__(self, request: Request, error: Fail) -> Response | Fail:
        assert request._connection is not None
        if request.route is not None:
            return error
        if not _may_see(request, self.router):
            return error
        title = f"404: nothing at {request.path}"
        if not _wants_page(request):
            return _text(f"{title}\n\n{table(self.router)}\n", 404)
        lines = [
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows(self.router)
        ]
        head = f"<tr><th>{'<th>'.join(name.title() for name in COLUMNS)}</tr>"
        return _page(title, [_section("Routes", f"<table>{head}{''.join(lines)}</table>")], 404)


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _text(text: str, status: int) -> Response:
    body = text.encode("utf-8", "backslashreplace")
    return Response(body, status, content_type="text/plain; charset=utf-8")


def _facts(request: Request, route: Route | None) -> dict[str, Any]:
    """What is known of the request, and of the way that it went."""
    query = f"?{request.query_string}" if request.query_string else ""
    facts: dict[str, Any] = {"request": f"{request.method} {request.path}{query} HTTP/{request.http_version}"}
    if route is not None:
        facts["route"] = f"{route.method} {route.path}"
        before, after = hook_names(route)
        facts["hooks"] = " → ".join([*before, f"[{qualified_name(route.handler)}]", *after])
    for name, value in request.params.items():
        facts[f"params: {name}"] = _shown(value)
    facts |= request.headers.items()
    if request._reader is None and request.body:
        facts["body"] = _shown(request.body)
    return facts


def _facts_as_text(facts: dict[str, Any]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in facts.items())


def _steps(trace: TracebackType | None) -> Iterator[str]:
    steps = list(traceback.walk_tb(trace))
    left_out = len(steps) - 2 * MOST
    if left_out > 0:
        steps[MOST:-MOST] = []
    for index, (frame, line) in enumerate(steps):
        if left_out > 0 and index == MOST:
            yield f"<p>… {left_out} steps …</p>"
        yield _step(frame, line)


def _step(frame: FrameType, line: int) -> str:
    """One step: file and line, the source round it, the variables; open if it is the app's."""
    code = frame.f_code
    file = code.co_filename
    linecache.checkcache(file)
    source = []
    for number in range(max(1, line - AROUND), line + AROUND + 1):
        text = linecache.getline(file, number, frame.f_globals)
        if text:
            row = f"{number:5} {escape(text.rstrip())}"
            source.append(f"<b>{row}</b>" if number == line else f"<span>{row}</span>")
    variables = {name: _shown(value) for name, value in islice(frame.f_locals.items(), MOST)}
    where = f"<code>{escape(code.co_qualname)}</code> in {escape(file)}:{line}"
    listing = f"<pre>{''.join(source)}</pre>" if source else ""
    state = " open" if is_the_apps(file) else ""
    return f"<details{state}><summary>{where}</summary>{listing}{_pairs(variables)}</details>"


def _shown(value: Any) -> str:
    """A variable as Python writes it, cut to a length that can be read."""
    try:
        text = repr(value)
    except Exception as error:  # it may be half made, and that the very mistake
        text = f"<{type(value).__name__}, and its repr raised {type(error).__name__}>"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _pairs(pairs: dict[str, Any]) -> str:
    lines = [f"<tr><th>{escape(name)}<td>{escape(str(value))}</tr>" for name, value in pairs.items()]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def _section(heading: str, content: str) -> str:
    return f"<h2>{escape(heading)}</h2>{content}"


_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }
h1 { font-size: 1.4em; color: #b3261e; white-space: pre-wrap; overflow-wrap: anywhere }
h2 { font-size: 1.1em; margin: 1.5em 0 .5em }
pre, code, td { font-family: ui-monospace, monospace; font-size: 13px }
pre { background: #f6f6f6; padding: .5em; overflow: auto; margin: .5em 0 }
pre span, pre b { display: block }
pre b { background: #ffe1de }
th { text-align: left; vertical-align: top; font-weight: 600; padding-right: 1.5em; white-space: nowrap }
td { overflow-wrap: anywhere; padding-right: 1.5em }
summary { cursor: pointer }
details { margin: .3em 0 }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd } h1 { color: #ff8a80 } pre { background: #262626 }
  pre b { background: #5a2a27 }
}
"""


def _page(title: str, sections: list[str], status: int) -> Response:
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{''.join(sections)}</html>\n"
    )
    body = page.encode("utf-8", "backslashreplace")
    return Response(body, status, {"cache-control": "no-store"}, content_type="text/html; charset=utf-8")

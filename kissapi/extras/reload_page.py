"""What a page hears of `--reload`: `<script src="/__reload__.js"></script>`.

The script listens to `/__reload__`, a stream of server-sent events: `reload` when the version that the page
came from serves no more, upon which it loads the page again, and `error` with the traceback of a version that
cannot start, which it shows.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from kissapi.awaitables import sleep
from kissapi.extras.sse import Event, last_event_id, sse
from kissapi.host import is_loopback
from kissapi.request_line import METHODS
from kissapi.response import Response, html
from kissapi.router import Router
from kissapi.watch import PERIOD

try:
    from html import escape
except ImportError:
    from kissapi.compat.html import escape

if TYPE_CHECKING:
    from kissapi.request import Request
    from kissapi.server import Server
    from kissapi.watch import Notes

ELSEWHERE = "The app cannot start: the terminal says why."
VERSION = str(time.time_ns())  # of the app: a new process is a new one

SCRIPT = """\
(() => {
  const source = new EventSource("/__reload__?version=VERSION");
  source.addEventListener("reload", () => location.reload());
  source.addEventListener("error", event => {
    if (!event.data) return;  // the connection was lost, and comes again by itself
    let box = document.getElementById("kissapi-error");
    if (!box) {
      box = document.createElement("pre");
      box.id = "kissapi-error";
      box.style.cssText = "position:fixed;inset:0;z-index:2147483647;margin:0;padding:2em;overflow:auto;" +
        "background:#1b1b1bf2;color:#ff8a80;font:14px/1.5 monospace;white-space:pre-wrap;text-align:left";
      box.title = "click to close";
      box.onclick = () => box.remove();
      document.documentElement.append(box);
    }
    box.textContent = event.data;
  });
  addEventListener("pagehide", () => source.close());
})();
"""


def show_error(server: Server, notes: Notes) -> Server:
    """Answer everything with why the app cannot start."""
    router = Router()

    @router.route("/{path:path}", METHODS)
    async def error(req: Request) -> Response:
        text = _why(notes, req) or "The app starts anew."
        if "text/html" not in req.headers.get("accept", ""):
            return Response(text, 500)
        page = f"<!doctype html><title>Cannot start</title><pre>{escape(text)}</pre>"
        return html(f'{page}<script src="/__reload__.js"></script>', 500)

    server.router = router
    return server


def attach(server: Server, notes: Notes) -> Server:
    """Add `/__reload__` and its script to what `server` answers, out of reach of the app's hooks."""
    if not server._speaks_http():
        return server
    router = Router()
    router.mount("/", server.router)
    router._on_error = server.router._on_error  # of 404 and 405, which are the outermost router's

    @router.get("/__reload__")
    async def events(req: Request) -> Response:
        version = last_event_id(req) or req.query.get("version")
        return sse(tell(lambda: _why(notes, req), version), retry=200)

    @router.get("/__reload__.js")
    async def script(req: Request) -> Response:
        text = SCRIPT.replace("VERSION", VERSION)
        return Response(text, headers={"cache-control": "no-store"}, content_type="text/javascript")

    server.router = router
    return server


def _why(notes: Notes, request: Request) -> str:
    """Why the newest version cannot start; the traceback is for this machine alone: see `kissapi.host`."""
    text, host = notes.error(), request.headers.get("host")
    return text if not text or host is None or is_loopback(host) else ELSEWHERE


async def tell(why: Callable[[], str], version: str | None) -> AsyncIterator[Event]:
    """The events for a page that came from `version`; `why` gives the reason why the newest cannot start."""
    if version in (None, VERSION):
        yield Event(id=VERSION)  # which a browser that has lost the connection comes again with
    else:
        yield Event(VERSION, event="reload", id=VERSION)
    said = ""
    while True:
        text = why()
        if text and text != said:
            yield Event(text, event="error")
        said = text
        await sleep(PERIOD)

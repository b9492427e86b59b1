"""Debug: what a client is shown of a mistake, and that no other client is."""

from __future__ import annotations

import html
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

import kissapi
from kissapi import Fail, Request, Response, Router, Server
from kissapi.extras.debug import debug
from kissapi.extras.testing import Client
from kissapi.log.tracebacks import is_the_apps
from kissapi.server.event_loop import import_backend
from tests.wire import Wire, parse_answers


class Shy:
    def __repr__(self) -> str:
        raise ValueError("not now")


def make_router() -> Router:
    router, below = Router(), Router()

    @router.get("/wrong/{id:int}")
    async def wrong(req: Request) -> None:
        secret, shy, long = "<script>alert(1)</script>", Shy(), "x" * 10_000
        try:
            raise KeyError("first")
        except KeyError as error:
            assert all((secret, shy, long))
            raise ValueError("<b>second</b>") from error

    @router.get("/thread")
    def thread(req: Request) -> None:
        raise ValueError("in a thread")

    @router.get("/unsaid")
    async def unsaid(req: Request) -> Any:
        return object()

    @router.get("/deep")
    async def deep(req: Request) -> int:
        def deeper(depth: int) -> int:
            return deeper(depth + 1)

        return deeper(0)

    @router.get("/fail/{status:int}")
    async def fail(req: Request) -> None:
        raise Fail(req.params["status"], "as it is")

    @router.get("/text")
    async def text(req: Request) -> str:
        return "text"

    @router.get("/none")
    async def none(req: Request) -> None:
        pass

    @router.get("/pieces")
    async def pieces(req: Request) -> Any:
        yield "a"
        yield "b"

    @below.get("/wrong")
    async def wrong_below(req: Request) -> None:
        raise LookupError("below")

    @router.before
    def look(req: Request) -> None:
        pass

    router.mount("/below", below)
    return router


def show(
    router: Router,
    path: str,
    accept: str = "*/*",
    parser_class: Any = None,
    method: str = "GET",
    host: str = "localhost:8000",
) -> tuple[int, dict[str, str], str, list[str]]:
    wire = Wire(router, **({"parser_class": parser_class} if parser_class else {}))
    wire.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nX-Y: <i>\r\n\r\n".encode())
    wire.wait(1)
    status, fields, body = parse_answers(wire.received, [method])[0]
    return status, fields, body.decode(), wire.lines


BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


def debugged() -> Router:
    router = make_router()
    debug(router)
    return router


def test_text_for_curl(parser_class: Any) -> None:
    status, fields, body, lines = show(debugged(), "/wrong/7?a=b", parser_class=parser_class)
    assert status == 500
    assert fields["content-type"] == "text/plain; charset=utf-8"
    told = body.splitlines()
    assert "ValueError: <b>second</b>" in told
    assert "KeyError: 'first'" in told
    assert "request: GET /wrong/7?a=b HTTP/1.1" in told
    assert "route: GET /wrong/{id:int}" in told
    name = f"{__name__}.make_router.<locals>"
    assert f"hooks: {name}.look → [{name}.wrong]" in told
    assert "params: id: 7" in told
    assert "x-y: <i>" in told
    assert not any("kissapi/hooks.py" in line for line in told)
    assert sum("wrong raised ValueError" in line for line in lines) == 1
    assert any("GET /wrong/7 → 500" in line for line in lines)


def test_a_page_for_browsers() -> None:
    status, fields, body, _ = show(debugged(), "/wrong/7", BROWSER)
    assert status == 500
    assert (fields["content-type"], fields["cache-control"]) == ("text/html; charset=utf-8", "no-store")
    assert "<h1>ValueError: &lt;b&gt;second&lt;/b&gt;</h1>" in body
    assert "… which came of KeyError: &#x27;first&#x27;" in body
    assert re.search(
        r"<b> +\d+ +raise ValueError\(&quot;&lt;b&gt;second&lt;/b&gt;&quot;\) from error</b>", body
    )
    assert "<th>secret<td>&#x27;&lt;script&gt;alert(1)&lt;/script&gt;&#x27;</tr>" in body
    assert "&lt;Shy, and its repr raised ValueError&gt;" in body
    assert "… (10002 characters)" in body
    assert "<th>x-y<td>&lt;i&gt;</tr>" in body
    assert "<script" not in body
    # The app's own steps are open, those of the framework closed.
    steps = re.findall(r"<details( open)?><summary><code>([\w.&;]+)</code> in ([^<]*):\d+", body)
    framework = str(Path(kissapi.__file__).parent) + os.sep
    opened = {html.unescape(file): is_open for is_open, _, file in steps}
    assert opened.pop(__file__) == " open"
    assert opened
    assert all(file.startswith(framework) and not is_open for file, is_open in opened.items())


def test_a_file_is_the_apps_or_the_frameworks_whatever_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout may lie anywhere; what is installed lies where `sys.path` says."""
    monkeypatch.setattr(
        sys, "path", ["/srv/site-packages/shop", "/env/lib/site-packages", "/usr/dist-packages"]
    )
    for file in ("/srv/kissapi/app.py", "/srv/site-packages/shop/app.py", "/env/lib/site-packages.py"):
        assert is_the_apps(file), file
    for file in (kissapi.__file__, "/env/lib/site-packages/sql/a.py", "/usr/dist-packages/yaml.py"):
        assert not is_the_apps(file), file


def test_every_way_to_fail() -> None:
    router = debugged()
    assert "ValueError: in a thread" in show(router, "/thread")[2]
    status, _, body, lines = show(router, "/unsaid")
    assert (status, body.splitlines()[0][:35]) == (500, "TypeError: a handler may return str")
    assert any("unsaid raised TypeError" in line for line in lines)
    assert "LookupError: below" in show(router, "/below/wrong")[2]
    _, _, page, _ = show(router, "/deep", BROWSER)
    assert "RecursionError" in page
    assert re.search(r"<p>… \d+ steps …</p>", page)
    assert len(page) < 400_000
    assert show(router, "/wrong/7", method="HEAD")[2] == ""


def test_what_goes_well_is_as_it_was() -> None:
    plain, shown = make_router(), debugged()
    for path in ("/text", "/none", "/pieces", "/fail/403", "/fail/404", "/fail/500"):
        status, fields, body, _ = show(plain, path)
        assert show(shown, path)[:3] == (status, fields | {"date": ANY}, body), path


def test_the_routes_on_a_404() -> None:
    status, _, body, _ = show(debugged(), "/nowhere")
    assert status == 404
    lines = body.splitlines()
    assert lines[0] == "404: nothing at /nowhere"
    assert lines[2].split() == ["METHOD", "PATH", "HANDLER", "HOOKS"]
    assert any(re.match(r"GET +/below/wrong +\S+wrong_below$", line) for line in lines)
    assert "kissapi.extras.debug" not in body
    status, _, page, _ = show(debugged(), "/a%3Cb%3E", BROWSER)
    assert status == 404
    assert "404: nothing at /a%3Cb%3E" in html.unescape(page)
    assert "<td>/wrong/{id:int}</td>" in page
    assert show(debugged(), "/text", method="POST")[0] == 405


def test_what_the_app_answers_itself_stays() -> None:
    router = make_router()

    @router.on_error(ValueError)
    async def value(req: Request, error: ValueError) -> Response:
        return Response("mine", 400)

    @router.on_error(404)
    async def missing(req: Request, error: Fail) -> str:
        return "no such thing"

    @router.on_error(500)
    async def sorry(req: Request, error: Exception) -> str:
        return "sorry"

    debug(router)
    assert show(router, "/wrong/7")[2] == "mine"
    assert show(router, "/nowhere")[2] == "no such thing"
    assert "LookupError: below" in show(router, "/below/wrong")[2]
    assert show(router, "/fail/500")[2] == "sorry"


def test_never_by_default(serve: Callable[..., Server]) -> None:
    assert show(make_router(), "/wrong/7")[2] == "Internal Server Error"
    assert Server(router=make_router()).router.error_handlers == {}


def test_a_server_with_debug(serve: Callable[..., Server]) -> None:
    import http.client

    server = serve(make_router(), debug=True)
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    client.request("GET", "/wrong/7", headers={"Accept": BROWSER})
    answer = client.getresponse()
    assert answer.status == 500
    assert b"<h1>ValueError: &lt;b&gt;second" in answer.read()
    client.close()


@pytest.mark.parametrize("how", ["server", "router", "mounted"])
def test_refused_where_others_can_reach_it(backend: str, how: str) -> None:
    router = make_router()
    if how == "server":
        server = Server("0.0.0.0", 0, router=router, debug=True, backend=backend)
    elif how == "router":
        debug(router)
        server = Server("0.0.0.0", 0, router=router, backend=backend)
    else:
        root = Router()
        root["/sub"] = router
        debug(router)
        server = Server(bind=["127.0.0.1:0", "0.0.0.0:0"], router=root, backend=backend)
    with pytest.raises(PermissionError, match=r"debug shows source .* can reach 0\.0\.0\.0:\d+: listen on"):
        import_backend(backend).run(server.run(), None)


@pytest.mark.parametrize("name", [("127.0.0.1", 1), ("127.9.9.9", 1), ("::1", 1, 0, 0), "/run/x.sock", ""])
def test_local_addresses(name: Any) -> None:
    debugged().check_addresses([name])


@pytest.mark.parametrize("name", [("0.0.0.0", 1), ("::", 1, 0, 0), ("192.0.2.1", 1), ("fe80::1%lo", 1, 0, 1)])
def test_other_addresses(name: Any) -> None:
    with pytest.raises(PermissionError):
        debugged().check_addresses([("127.0.0.1", 1), name])
    forced = make_router()
    debug(forced, force=True)
    forced.check_addresses([name])


def test_forced(serve: Callable[..., Server]) -> None:
    assert serve(make_router(), debug="force", host="0.0.0.0").port


def test_with_the_testing_client() -> None:
    answer = Client(debugged()).get("/wrong/7", headers={"Accept": "text/html"})
    assert answer.status == 500
    assert "<h1>ValueError" in answer.text

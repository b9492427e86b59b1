"""In a real browser: what sessions, CSRF and CORS promise is what Chromium does.

127.0.0.1 and localhost are two sites to it, and another port is another origin of the same site.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Request, Response, Router, Server, html, redirect
from kissapi.extras.cors import cors
from kissapi.extras.csrf import csrf
from kissapi.extras.sessions import sessions

if TYPE_CHECKING:
    from tests.browser import Browser

FORM = '<title>{}</title><form method=post action="{}/act"><input name=a value=1><button>Go</button></form>'
SHARED = {"expose": ["x-total"], "credentials": True}


def shop(origins: list[str]) -> Router:
    """A login, a form, and an API that pages of `origins` may ask."""
    router, api = Router(), Router()
    router.around(sessions("0123456789abcdef"))
    router.around(csrf(origins=origins))
    router["/api"] = api
    api.around(cors(origins, **SHARED))  # type: ignore[arg-type]

    @router.get("/login")
    async def login(req: Request) -> Response:
        req.session["user"] = "ann"
        return redirect("/")

    @router.get("/logout")
    async def logout(req: Request) -> str:
        req.session.clear()
        return "bye"

    @router.get("/")
    async def page(req: Request) -> Response:
        response = html(FORM.format(req.session.get("user"), ""))
        response.headers["referrer-policy"] = req.query.get("policy", "same-origin")
        return response

    @router.post("/act")
    async def act(req: Request) -> Response:
        return html(f"<title>done</title>{req.session.get('user')}")

    @api.put("/items")
    async def put(req: Request) -> Response:
        return Response({"user": req.session.get("user"), **req.json}, headers={"x-total": "7"})

    return router


def foreign(target: Callable[[], str]) -> Router:
    """Pages of another origin, with a form for `target` and one in a sandbox."""
    router = Router()

    @router.get("/")
    async def page(req: Request) -> Response:
        return html(FORM.format("foreign", target()))

    @router.get("/sandbox")
    async def sandbox(req: Request) -> Response:
        form = FORM.format("", target()).replace('"', "&quot;")
        script = "<script>document.forms[0].submit()</script>"
        return html(f'<iframe sandbox="allow-forms allow-scripts" srcdoc="{form}{script}"></iframe>')

    return router


ASK = """
    const [url, options] = arguments
    const status = (answer) => [answer.status, answer.headers.get("x-total")]
    return fetch(url, options).then((answer) => status(answer)).catch((error) => String(error))
"""
PUT = {
    "method": "PUT",
    "credentials": "include",
    "body": '{"a": 1}',
    "headers": {"content-type": "application/json", "x-own": "1"},
}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_session_is_kept_and_no_script_reads_it(
    browser: Browser, serve: Callable[..., Server], pems: Path, scheme: str
) -> None:
    settings: Any = {"certfile": pems / "cert.pem", "keyfile": pems / "key.pem"} if scheme == "https" else {}
    url = f"{scheme}://127.0.0.1:{serve(shop([]), **settings).port}"
    browser.open(f"{url}/login")
    assert (browser.url, browser.title) == (f"{url}/", "ann")
    name = "__Host-session" if scheme == "https" else "session"
    cookie = browser.cookies()[name]
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (scheme == "https", True, "Lax")
    assert browser.run("return document.cookie") == ""
    browser.open(f"{url}/logout")
    assert browser.cookies() == {}


def test_forms_of_own_pages_pass_and_those_of_others_do_not(
    browser: Browser, serve: Callable[..., Server]
) -> None:
    own = serve(shop([])).port
    other = serve(foreign(lambda: f"http://127.0.0.1:{own}")).port
    for policy in ("same-origin", "no-referrer"):  # the second makes the origin null
        browser.open(f"http://127.0.0.1:{own}/?policy={policy}")
        browser.click("button")
        browser.wait_for("return document.title == 'done'")
    for host in ("127.0.0.1", "localhost"):  # of the same site, and of another one
        browser.open(f"http://{host}:{other}/")
        browser.click("button")
        browser.wait_for(f"return location.port == {own}")
        assert "Forbidden: a page of another origin has sent this" in browser.text("body")


def test_pages_that_are_listed_may_send_and_read_and_others_may_not(
    browser: Browser, serve: Callable[..., Server]
) -> None:
    others = serve(foreign(lambda: "")).port
    own = serve(shop([f"http://127.0.0.1:{others}"])).port
    browser.open(f"http://127.0.0.1:{own}/login")
    url = f"http://127.0.0.1:{own}/api"
    browser.open(f"http://127.0.0.1:{others}/")
    assert browser.run(ASK, f"{url}/items", PUT) == [200, "7"]
    assert browser.run(ASK, f"{url}/nowhere", PUT) == [404, None]
    assert browser.run(ASK, f"{url}/items", {**PUT, "body": "{"}) == [400, None]
    browser.open(f"http://localhost:{others}/")
    assert browser.run(ASK, f"{url}/items", PUT) == "TypeError: Failed to fetch"
    simple = {"method": "POST", "credentials": "include", "mode": "no-cors"}
    assert browser.run(ASK, f"http://127.0.0.1:{own}/act", simple) == [0, None]  # sent, and refused unseen

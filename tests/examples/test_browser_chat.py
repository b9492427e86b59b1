"""The chat example in a real browser: two windows talk to each other, and come back when the server does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from examples.chat import router
from kissapi import Request, Response, Router, html

if TYPE_CHECKING:
    from kissapi import Server
    from kissapi.extras.websocket import WebSocket
    from tests.browser import Browser

LINES = "[...document.querySelectorAll('#said li')].map(line => line.textContent).join('|')"
READY = "return !document.querySelector('input').disabled"


def heard(browser: Browser, lines: str) -> None:
    """Wait until exactly these lines are in the window."""
    browser.wait_for(f"return {LINES} === {lines!r}")


def test_two_windows_chat(serve: Callable[..., Server], browser: Browser) -> None:
    server = serve(router, linger_timeout=0.2)
    assert server.service is not None
    clients = server.service.app.clients
    browser.open(f"{server.url}/?name=ann")
    browser.wait_for(READY)
    ann = browser.windows[0]
    heard(browser, "ann has come")
    bob = browser.new_window(f"{server.url}/?name=bob")
    heard(browser, "bob has come")
    browser.type("input", "Hello, <b>ann</b>! ü\n")
    heard(browser, "bob has come|bob: Hello, <b>ann</b>! ü")
    browser.switch(ann)
    heard(browser, "ann has come|bob has come|bob: Hello, <b>ann</b>! ü")
    browser.type("input", "x" * 200 + "\n")  # long enough to be compressed
    browser.switch(bob)
    heard(browser, "bob has come|bob: Hello, <b>ann</b>! ü|ann: " + "x" * 200)
    assert len(clients) == 2
    browser.close_window()
    heard(browser, "ann has come|bob has come|bob: Hello, <b>ann</b>! ü|ann: " + "x" * 200 + "|bob has left")
    assert len(clients) == 1
    assert browser.console() == []


def test_the_page_comes_back_with_the_server(serve: Callable[..., Server], browser: Browser) -> None:
    server = serve(router)
    browser.open(f"{server.url}/?name=ann")
    browser.wait_for(READY)
    server.stop()
    browser.wait_for("return document.querySelector('input').disabled")
    serve(router, port=server.port)
    browser.wait_for(READY)
    heard(browser, "ann has come|ann has come")


ENDED = """
    return new Promise(ended => {
        const ws = new WebSocket(arguments[0], arguments[1])
        ws.onmessage = message => ws.send(message.data + " " + ws.protocol + " " + ws.extensions)
        ws.onclose = end => ended([end.code, end.reason, end.wasClean])
    })
"""


def test_what_a_browser_sees_of_the_end(serve: Callable[..., Server], browser: Browser) -> None:
    router = Router()
    heard: list[str | bytes] = []

    @router.get("/")
    async def page(req: Request) -> Response:
        return html("a page")

    @router.websocket("/{code:int}", subprotocols=["b"], max_message=100)
    async def end(ws: WebSocket) -> None:
        code = ws.request.params["code"]
        await ws.send("x" if code < 9000 else "x" * 101)
        async for message in ws:
            heard.append(message)
            await ws.close(code, "that was all")

    server = serve(router)
    browser.open(server.url)
    here = f"ws://127.0.0.1:{server.port}"
    assert browser.run(ENDED, f"{here}/4000", ["a", "b"]) == [4000, "that was all", True]
    assert heard == ["x b permessage-deflate; client_max_window_bits=12"]
    assert browser.run(ENDED, f"{here}/9000", ["b"]) == [1009, "a message may have 100 bytes", True]
    assert browser.run(ENDED, f"{here}/missing", []) == [1006, "", False]
    elsewhere = here.replace("127.0.0.1", "localhost")  # to which this page does not belong
    assert browser.run(ENDED, f"{elsewhere}/4000", []) == [1006, "", False]
    assert ["404" in line or "403" in line for line in browser.console()] == [True, True]

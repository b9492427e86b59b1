"""In a real browser, on both backends: the examples that have a page, and what only a browser does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples import ticker
from kissapi import Request, Response, Router, Server, html, sleep
from kissapi.extras.sse import Event, sse
from tests.examples.test_examples import Program
from tests.peer import until

if TYPE_CHECKING:
    from tests.browser import Browser


@pytest.fixture
def run(backend: str) -> Iterator[Callable[[str], str]]:
    """Starts an example on a free port, and gives its URL."""
    running: list[Program] = []

    def start(name: str) -> str:
        running.append(Program(f"examples.{name}", backend))
        return f"http://127.0.0.1:{running[-1].port}/"

    yield start
    for program in running:
        assert program.stop() == 0, program.output


SEEN = "return [...document.querySelectorAll('#seen li')].map((line) => Number(line.textContent))"


def test_rest(browser: Browser, run: Callable[[str], str]) -> None:
    browser.open(run("rest"))
    for text in ("buy milk", "<b>drink it</b>"):
        browser.type("#text", f"{text}\n")
        browser.wait_for(f"return document.querySelector('ul').textContent.includes({text!r})")
    browser.click("li:first-child input")
    browser.wait_for("return fetch('/tasks/1').then((answer) => answer.json()).then((task) => task.done)")
    browser.reload()
    browser.wait_for("return document.querySelector('li:first-child input')?.checked")
    browser.click("li:last-child button")
    browser.wait_for("return document.querySelectorAll('li').length == 1")
    assert browser.text("ul") == "buy milk×"
    assert browser.run("return fetch('/tasks/2').then((answer) => answer.status)") == 404


def test_upload(browser: Browser, run: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "a film.bin"
    file.write_bytes(b"x" * (32 << 20))  # more than max_body
    browser.open(run("upload"))
    browser.run(
        "steps = []; new MutationObserver(() => steps.push(bar.value)).observe(bar, {attributes: true})"
    )
    browser.upload("#file", file)
    said = browser.wait_for("return document.querySelector('#said').textContent")
    assert said == f'{{"name":"a film.bin","size":{32 << 20}}}'
    steps = browser.run("return steps")
    assert steps == sorted(steps)
    assert steps[-1] == 1
    assert browser.run("return fetch('/files').then((answer) => answer.json())") == {"a film.bin": 32 << 20}


def test_ticker(browser: Browser, run: Callable[[str], str]) -> None:
    browser.open(run("ticker"))
    seen = browser.wait_for(f"const seen = (() => {{ {SEEN} }})(); return seen.length > 3 && seen")
    assert seen == list(range(1, len(seen) + 1))
    assert int(browser.text("#price")) > 100
    assert browser.console() == []


def test_ticker_goes_on_where_it_was_when_the_server_comes_back(
    browser: Browser, serve: Callable[..., Server]
) -> None:
    server = serve(ticker.router)
    browser.open(server.url)
    browser.wait_for("return document.querySelectorAll('#seen li').length > 2")
    began = time.monotonic()
    server.stop()
    until(lambda: server.service is None)
    assert time.monotonic() - began < 3, "it waited for a stream that has no end"
    before = browser.run(SEEN)
    serve(ticker.router, port=server.port)
    browser.wait_for(f"return document.querySelectorAll('#seen li').length > {len(before) + 2}")
    seen = browser.run(SEEN)
    assert seen == list(range(1, len(seen) + 1))  # no gap, nothing twice


@pytest.mark.parametrize("way", ["closed", "left"])
def test_the_generator_ends_when_the_browser_has_gone(
    browser: Browser, serve: Callable[..., Server], way: str
) -> None:
    ended: list[float] = []
    router = Router()

    @router.get("/")
    async def page(req: Request) -> Response:
        return html("<script>events = new EventSource('/events')</script>")

    @router.get("/events")
    async def events(req: Request) -> Response:
        async def silence() -> AsyncIterator[Event]:
            try:
                yield Event("hello")
                await sleep(1000)
            finally:
                ended.append(time.monotonic())

        return sse(silence())

    browser.new_window(serve(router).url)
    browser.wait_for("return events.readyState == EventSource.OPEN")
    gone = time.monotonic()
    if way == "closed":
        browser.run("events.close()")
    else:
        browser.close_window()  # to go to another page is not enough: this one is kept, in case one goes back
    until(lambda: ended)
    assert ended[0] - gone < 4


def test_events_of_every_shape_arrive_as_they_were_sent(
    browser: Browser, serve: Callable[..., Server]
) -> None:
    router = Router()
    asked: list[str | None] = []

    @router.get("/")
    async def page(req: Request) -> Response:
        return html(
            """<script>
            got = []; events = new EventSource("/events");
            const note = (event) => got.push([event.type, event.data, event.lastEventId]);
            events.onmessage = note;
            events.addEventListener("price", note);
            events.addEventListener("empty", note);
            </script>"""
        )

    @router.get("/events")
    def events(req: Request) -> Response:
        asked.append(req.headers.get("last-event-id"))
        sent = [
            "text",
            "two\nlines\r\nor\rmore",
            " blank first",
            "",
            {"json": ["é", None]},
            Event(7, event="price", id=41),
            Event("x" * 100_000, id="snowman ☃"),
            Event(id="noted"),
            Event("", event="empty"),
        ]
        return sse(sent if len(asked) == 1 else ["again"], retry=100, heartbeat=1)

    browser.open(serve(router).url)
    got = browser.wait_for("return got.length > 8 && got")
    assert got[:9] == [
        ["message", "text", ""],
        ["message", "two\nlines\nor\nmore", ""],
        ["message", " blank first", ""],
        ["message", "", ""],
        ["message", '{"json":["\\u00e9",null]}', ""],
        ["price", "7", "41"],
        ["message", "x" * 100_000, "snowman ☃"],
        ["empty", "", "noted"],
        ["message", "again", "noted"],
    ]
    assert asked[:2] == [None, "noted"]
    browser.run("events.close()")

"""Bottle: a form, a stream, an error, through `kissapi module:app`."""

from __future__ import annotations

from collections.abc import Iterator

from bottle import Bottle, HTTPError, request

from tests.ecosystem.site import Site, check

app = Bottle()


@app.get("/hello/<name>")
def hello(name: str) -> str:
    return f"hello, {name}"


@app.post("/form")
def form() -> dict[str, str]:
    return {"name": request.forms.getunicode("name")}


@app.get("/stream")
def stream() -> Iterator[str]:
    yield "a"
    yield "b"


@app.get("/teapot")
def teapot() -> str:
    raise HTTPError(418, "short and stout")


def main() -> str:
    with Site("tests.ecosystem.bottle_app:app") as site:
        answer = site.ask("/hello/ann%20lee")
        check("a route", answer.text == "hello, ann lee", answer)
        check("its length", answer.fields["content-length"] == "14")
        check("a form", site.ask("/form", {"name": "é"}).json == {"name": "é"})
        check("a stream", site.ask("/stream").text == "ab")
        check("418", site.ask("/teapot").status == 418)
        check("404", site.ask("/none").status == 404)
    return "routes, a form, a stream, errors"

"""What is served: the document and its page, as a client and as a real browser see them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Fail, Request, Response, Router, Server
from kissapi.extras.auth import bearer
from kissapi.extras.openapi import openapi
from kissapi.extras.openapi.pages import NAMES
from kissapi.extras.testing import Client

if TYPE_CHECKING:
    from tests.browser import Browser


def app(**options: Any) -> Router:
    router = Router()

    @router.get("/orders/{number:int}", tags=["orders"], responses={404: "no such order"})
    async def one(req: Request) -> dict[str, Any]:
        """One order.

        It has <b>lines</b>.
        """
        if req.params["number"] > 9:
            raise Fail(404, "no such order")
        return {"number": req.params["number"], "user": req.user}

    @router.get("/free")
    async def free(req: Request) -> str:
        return "free"

    described = openapi(router, **{"title": "Orders & <more>", "version": "1", **options})
    guarded = Router()
    guarded["/"] = router
    router.add_hook("around", bearer({"secret": "ann"}))
    root = Router()
    root["/"] = guarded
    root["/"] = described
    return root


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_document_and_page(backend: str) -> None:
    with Client(app(), backend=backend) as client:
        answer = client.get("/openapi.json")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert [*answer.json["paths"]] == ["/orders/{number}", "/free"]
        page = client.get("/docs")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "<title>Orders &amp; &lt;more&gt;</title>" in page.text
        assert 'data-document="openapi.json" data-root="."' in page.text


def test_both_have_an_entity_tag_and_are_made_once() -> None:
    client = Client(app())
    for path in ("/openapi.json", "/docs"):
        first = client.get(path)
        assert first.headers["cache-control"] == "no-cache"
        for tags in (first.headers["etag"], f'"a", W/{first.headers["etag"]}', "*"):
            again = client.get(path, headers={"if-none-match": tags})
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert client.get(path, headers={"if-none-match": '"a"'}).body == first.body
        assert client.request("HEAD", path).headers["etag"] == first.headers["etag"]


def test_it_is_made_for_each_app_that_it_is_mounted_in() -> None:
    described = Router()
    described.get("/x")(lambda req: None)
    documented = openapi(described, title="a", version="1")
    described.mount("/", documented)
    outer = Router()
    outer["/outer"] = described
    assert [*Client(described).get("/openapi.json").json["paths"]] == ["/x"]
    assert [*Client(outer).get("/outer/openapi.json").json["paths"]] == ["/outer/x"]
    assert [*Client(described).get("/openapi.json").json["paths"]] == ["/x"]


PLACES = [
    ("/", "/docs", "/docs", "openapi.json", "."),
    ("/api", "/docs", "/api/docs", "openapi.json", ".."),
    ("/api", "/", "/api", "api/openapi.json", "."),
    ("/api", "/", "/api/", "openapi.json", ".."),
    ("/{tenant}", "/help/docs", "/a%20b/help/docs", "../openapi.json", "../.."),
]


@pytest.mark.parametrize(("prefix", "docs", "asked", "document", "root"), PLACES)
def test_the_page_finds_the_document_wherever_it_is(
    prefix: str, docs: str, asked: str, document: str, root: str
) -> None:
    described, outer = Router(), Router()
    outer[prefix] = openapi(described, title="a", version="1", docs=docs)
    page = Client(outer).get(asked).text
    assert f'data-document="{document}" data-root="{root}"' in page


def test_paths_can_be_chosen_and_the_page_left_out() -> None:
    router = Router()
    router.mount("/", openapi(router, title="a", version="1", path="/api.json", docs=None))
    client = Client(router)
    assert client.get("/api.json").json["paths"] == {}, "it does not describe itself"
    assert client.get("/docs").status == 404


@pytest.mark.parametrize("ui", NAMES)
def test_the_policy_of_the_page_allows_what_is_in_it(ui: str) -> None:
    page = Client(app(ui=ui, servers=["/a", "https://b.example:444/c/", "http://d.example"])).get("/docs")
    policy = page.headers["content-security-policy"]
    for tag in ("script", "style"):
        for content in re.findall(rf"<{tag}>(.*?)</{tag}>", page.text, re.DOTALL):
            assert f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src 'self' http://d.example https://b.example:444" in policy
    assert ("https://cdn.jsdelivr.net" in page.text) == (ui != "kissapi")
    assert "unsafe" not in policy.replace("style-src https: 'unsafe-inline'", "")
    assert 'openapi.json"' in page.text


def test_what_a_page_shows_is_escaped() -> None:
    for ui in NAMES:
        page = Client(app(ui=ui, title="</title><script>alert(1)</script>")).get("/docs").text
        assert "<script>alert" not in page


def test_the_json_of_the_server_does_not_matter() -> None:
    class Library:
        dumps = staticmethod(lambda value: json.dumps(value)[:-1] + " }" if isinstance(value, dict) else "0")
        loads = staticmethod(json.loads)

    router = Router()
    router.mount("/", openapi(router, title="a", version="1"))
    assert Client(Server(router=router)).get("/openapi.json").json["openapi"] == "3.1.0"


@pytest.fixture
def docs(browser: Browser, serve: Callable[..., Server]) -> Browser:
    browser.open(f"{serve(app()).url}/docs")
    browser.wait_for("return document.querySelector('section')")
    return browser


def test_the_page_in_a_browser(docs: Browser) -> None:
    assert docs.title == "Orders & <more>"
    assert docs.text("#title") == "Orders & <more> 1"
    assert docs.run("return [...document.querySelectorAll('h2')].map((each) => each.textContent)") == [
        "orders",
        "Other",
    ]
    docs.click("#op-one summary")
    assert "It has <b>lines</b>." in docs.text("#op-one")
    assert docs.url.endswith("#op-one")
    assert docs.console() == []


def test_the_page_sends_requests_with_credentials(docs: Browser) -> None:
    docs.click("#op-one summary")
    docs.type("#op-one [name=number]", "7\n")
    docs.wait_for("return document.querySelector('#op-one .bad')?.textContent.includes('401')")
    docs.click("#credentials summary")
    docs.type("#credentials input", "secret")
    docs.click("#op-one button")
    shown = docs.wait_for("return document.querySelector('#op-one .body')?.textContent")
    assert json.loads(shown) == {"number": 7, "user": "ann"}
    assert "-H 'authorization: Bearer secret'" in docs.text("#op-one pre")
    docs.reload()
    docs.wait_for("return document.querySelector('#op-one[open]')")
    assert docs.run("return document.querySelector('#credentials input').value") == "secret"


def test_the_page_by_keyboard(docs: Browser) -> None:
    docs.type("body", "/")
    docs.type("#filter", "free")
    assert docs.run("return [...document.querySelectorAll('[data-text]')].map((box) => box.hidden)") == [
        True,
        False,
    ]
    assert docs.run("return document.activeElement.id") == "filter"


def test_the_page_works_behind_a_proxy_that_takes_a_prefix_away(
    browser: Browser, serve: Callable[..., Server]
) -> None:
    inner, proxy = app(), Router()

    # As nginx does with `location /shop/ { proxy_pass http://app/; }`.
    @proxy.get("/shop/{rest:path}")
    def forward(req: Request) -> Response:
        answer = Client(inner).get(f"/{req.params['rest']}", headers=dict(req.headers))
        kept = {
            name: answer.headers[name]
            for name in ("content-type", "content-security-policy")
            if name in answer.headers
        }
        return Response(answer.body, answer.status, kept)

    browser.open(f"{serve(proxy).url}/shop/docs")
    browser.wait_for("return document.querySelector('section')")
    browser.click("#op-free summary")
    browser.click("#op-free button")
    browser.wait_for("return document.querySelector('#op-free .result')?.textContent.includes('401')")
    assert "/shop/free" in browser.text("#op-free pre")

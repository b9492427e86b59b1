"""Sessions: what a handler keeps is there at the next request, and nothing that a client makes up ever is."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Fail, Request, Response, Router, Server
from kissapi.extras.files import static
from kissapi.extras.sessions import Flash, Session, sessions
from kissapi.extras.testing import Client
from tests.extras.visits import SECRET, Memory, visits
from tests.places import ROOT

if TYPE_CHECKING:
    from kissapi.extras.websocket import WebSocket


def test_it_is_there_at_the_next_request(backend: str, parser_class: Any) -> None:
    client = Client(visits(), backend, parser_class=parser_class)
    assert [client.get("/").json for _ in range(3)] == [1, 2, 3]
    assert client.get("/look").json == {"n": 3}
    assert Client(visits()).get("/look").json == {}


@pytest.mark.parametrize(
    ("scheme", "options", "expected"),
    [
        ("http", {}, "session=…; Max-Age=1209600; Path=/; SameSite=Lax; HttpOnly"),
        ("https", {}, "__Host-session=…; Max-Age=1209600; Path=/; SameSite=Lax; Secure; HttpOnly"),
        ("http", {"secure": True, "keep": False}, "__Host-session=…; Path=/; SameSite=Lax; Secure; HttpOnly"),
        ("https", {"secure": False, "cookie": "s"}, "s=…; Max-Age=1209600; Path=/; SameSite=Lax; HttpOnly"),
        (
            "https",
            {"domain": "localhost", "max_age": 5, "same_site": "strict"},
            "__Secure-session=…; Max-Age=5; Path=/; Domain=localhost; SameSite=Strict; Secure; HttpOnly",
        ),
        (
            "https",
            {"path": "/x", "same_site": "None", "secure": True, "partitioned": True, "keep": False},
            "__Secure-session=…; Path=/x; SameSite=None; Secure; HttpOnly; Partitioned",
        ),
        ("http", {"path": "/x"}, "session=…; Max-Age=1209600; Path=/x; SameSite=Lax; HttpOnly"),
    ],
)
def test_the_cookie_is_as_safe_as_the_scheme_allows(scheme: str, options: Any, expected: str) -> None:
    client = Client(visits(**options), scheme=scheme)
    name, _, rest = client.get("/").headers["set-cookie"].partition("=")
    assert f"{name}=…;{rest.partition(';')[2]}" == expected


def test_behind_a_trusted_proxy_the_scheme_is_that_of_the_client() -> None:
    server = Server(router=visits(), trusted_proxies="127.0.0.1")
    client = Client(server, headers={"x-forwarded-proto": "https"})
    assert client.get("/").headers["set-cookie"].startswith("__Host-session=")


def test_what_is_not_looked_at_costs_no_field() -> None:
    client = Client(visits())
    client.get("/")
    assert not {"vary", "cache-control", "set-cookie"} & set(client.get("/none").headers)


def test_what_is_only_read_is_not_sent_again() -> None:
    client = Client(visits())
    assert client.get("/").headers["cache-control"] == "private"
    fields = client.get("/look").headers
    assert (fields["vary"], fields["cache-control"]) == ("Cookie", "private")
    assert "set-cookie" not in fields


@pytest.mark.parametrize(
    ("said", "read", "changed"),
    [
        (None, "private", "private"),
        ("no-store", "no-store", "no-store"),
        ("public, max-age=60", "public, max-age=60", "max-age=60, private"),
        ("max-age=60, s-maxage=9", "max-age=60, s-maxage=9", "max-age=60, private"),
        ("Private, max-age=1", "Private, max-age=1", "Private, max-age=1"),
    ],
)
def test_no_shared_cache_keeps_the_cookie_of_a_user(said: str | None, read: str, changed: str) -> None:
    router = Router()
    router.around(sessions(SECRET))

    @router.get("/{change:int}")
    async def page(req: Request) -> Response:
        if req.params["change"]:
            req.session["a"] = 1
        fields = {"vary": "Accept"} | ({"cache-control": said} if said else {})
        req.session.get("a")
        return Response("page", headers=fields)

    client = Client(router)
    assert client.get("/0").headers["cache-control"] == read
    answer = client.get("/1")
    assert answer.headers["cache-control"] == changed
    assert answer.headers["vary"] == "Accept, Cookie"


def test_changes_in_the_depth_are_seen() -> None:
    router = Router()
    router.around(sessions(SECRET))

    @router.get("/")
    async def add(req: Request) -> Any:
        req.session.setdefault("cart", {}).setdefault("items", []).append("x")
        return req.session["cart"]["items"]

    client = Client(router)
    assert [client.get("/").json for _ in range(3)] == [["x"], ["x"] * 2, ["x"] * 3]


def test_an_empty_session_has_no_cookie() -> None:
    client = Client(visits())
    assert "set-cookie" not in client.get("/clear").headers
    client.get("/")
    assert "session" in client.cookies
    assert client.get("/clear").headers["set-cookie"].startswith("session=; Max-Age=0; Path=/")
    assert "session" not in client.cookies
    assert client.get("/look").json == {}


def test_flashes_are_read_once() -> None:
    router = Router()
    router.around(sessions(SECRET))

    @router.post("/")
    async def save(req: Request) -> None:
        req.session.flash("saved ☕")
        req.session.flash("low on space", "warning")

    @router.get("/")
    async def page(req: Request) -> Any:
        return req.session.flashes()

    client = Client(router)
    assert client.get("/").json == []
    client.post("/")
    client.post("/")
    assert client.get("/").json == [["saved ☕", "info"], ["low on space", "warning"]] * 2
    assert client.get("/").json == []
    assert "session" not in client.cookies
    session = Session({})
    session.flash("a")
    assert session.flashes() == [Flash("a", "info")]


# What it covers


def covered() -> Router:
    root, below = visits(), Router()
    root["/below"] = below

    @root.on_error(404)
    async def missing(req: Request, error: Fail) -> Any:
        return {"user": req.session.get("n"), "flashes": req.session.flashes()}

    @below.get("/")
    async def inner(req: Request) -> Any:
        return req.session["n"]

    @below.get("/fail/{status:int}")
    async def fail(req: Request) -> None:
        req.session.flash("failed")
        raise Fail(req.params["status"])

    @below.get("/stream")
    async def stream(req: Request) -> AsyncIterator[str]:
        req.session["streamed"] = True
        yield "a"
        yield "b"

    @below.get("/plain")
    def plain(req: Request) -> Any:
        req.session["thread"] = True

    return root


def test_it_covers_404_errors_streams_threads_and_mounted_routers() -> None:
    client = Client(covered())
    client.get("/")
    assert client.get("/nowhere").json == {"user": 1, "flashes": []}
    assert client.get("/below/").json == 1
    assert client.get("/below/fail/409").status == 409
    assert client.get("/below/nowhere").json == {"user": 1, "flashes": [["failed", "info"]]}
    assert client.get("/below/stream").text == "ab"
    assert client.get("/below/plain").status == 204
    assert client.get("/look").json == {"n": 1, "streamed": True, "thread": True}


@pytest.mark.parametrize("status", [500, 503])
def test_an_answer_from_500_on_leaves_it_as_it_was(status: int) -> None:
    client = Client(covered())
    client.get("/")
    answer = client.get(f"/below/fail/{status}")
    assert "set-cookie" not in answer.headers
    assert client.get("/look").json == {"n": 1}


def test_the_handshake_of_a_websocket_reads_and_sets_it() -> None:
    router = visits()

    @router.before
    async def mark(req: Request) -> None:
        if req.path == "/ws":
            req.session["seen"] = True

    @router.websocket("/ws")
    async def whoami(ws: WebSocket) -> None:
        await ws.send(str(ws.request.session["n"]))

    client = Client(router)
    client.get("/")
    with client.websocket("/ws") as ws:
        assert ws.receive() == "1"
        assert ws.answer.headers["set-cookie"].startswith("session=")
    assert client.get("/look").json == {"n": 1, "seen": True}


def test_a_file_behind_it_varies_by_both(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a" * 99)
    (tmp_path / "a.txt.gz").write_bytes(b"gz")
    router = static("/", tmp_path)
    router.around(sessions(SECRET))

    @router.before
    async def see(req: Request) -> None:
        req.session["seen"] = True

    fields = Client(router).get("/a.txt", headers={"accept-encoding": "gzip"}).headers
    assert (fields["vary"], fields["content-encoding"]) == ("Accept-Encoding, Cookie", "gzip")
    assert fields["cache-control"] == "private"


def test_without_the_hook_it_is_an_error_that_names_it() -> None:
    router = Router()

    @router.get("/")
    async def page(req: Request) -> Any:
        return req.session

    client = Client(router)
    assert client.get("/").status == 500
    assert "needs router.around(sessions(…))" in "\n".join(client.log)


def test_to_replace_it_is_an_error() -> None:
    router = Router()
    router.around(sessions(SECRET))

    @router.get("/")
    async def page(req: Request) -> None:
        req.session["a"] = 1
        req.session = {"a": 1}

    client = Client(router)
    assert client.get("/").status == 500
    assert "is not to be replaced" in "\n".join(client.log)


# What can be kept


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({7: 2}, "req.session['x'] = {7: 2} would come back as req.session['x'] = {'7': 2}"),
        ((1, 2), "use lists for tuples"),
        (object(), "Object of type object is not JSON"),
        ({"a": [{1, 2}]}, "Object of type set is not JSON"),
        (b"bytes", "Object of type bytes is not JSON"),
        (float("nan"), "would come back as"),
        ("\ud800", "surrogates not allowed"),
    ],
    ids="keys tuple object set bytes nan surrogate".split(),
)
def test_what_would_not_come_back_as_it_is_is_an_error(value: Any, why: str) -> None:
    router = Router()
    router.around(sessions(SECRET))

    @router.get("/")
    async def page(req: Request) -> None:
        req.session["ok"] = [1.5, None, True, "é", {"a": {}}]
        req.session["x"] = value

    client = Client(router)
    assert client.get("/").status == 500
    assert why in "\n".join(client.log)
    assert "session" not in client.cookies


def test_circles_and_names_that_are_no_text_are_errors() -> None:
    router = Router()
    router.around(sessions(SECRET))

    @router.get("/circle")
    async def circle(req: Request) -> None:
        req.session["me"] = req.session

    @router.get("/name")
    async def name(req: Request) -> None:
        req.session[5] = "five"

    client = Client(router)
    assert [client.get("/circle").status, client.get("/name").status] == [500, 500]
    assert "req.session['me'] cannot be kept" in "\n".join(client.log)
    assert "req.session[5] = 'five' would come back as req.session['5'] = 'five'" in "\n".join(client.log)


def test_a_cookie_that_browsers_would_drop_is_an_error_that_says_what_to_do() -> None:
    router = Router()
    router.around(sessions(SECRET))

    @router.get("/{size:int}")
    async def page(req: Request) -> None:
        req.session["x"] = random.Random(1).randbytes(req.params["size"]).hex()

    client = Client(router)
    assert client.get("/1000").status == 204
    assert client.get("/3000").status == 500
    assert "bytes in its cookie, and browsers keep 4096 at most: keep less in it" in "\n".join(client.log)


# A store


def test_with_a_store_the_cookie_has_an_id_alone(backend: str) -> None:
    store = Memory()
    client = Client(visits(store=store, max_age=60), backend)
    assert client.get("/look").json == {}
    assert store.calls == []
    assert [client.get("/").json for _ in range(2)] == [1, 2]
    (key,) = store.kept
    assert key.startswith("session:")
    assert len(key) == 51
    assert store.calls == ["set 60", "get", "set 60"]
    client.get("/look")
    assert store.calls[3:] == ["get"]
    client.get("/renew")
    (renewed,) = store.kept
    assert renewed != key
    assert client.get("/look").json == {"n": 2}
    client.get("/clear")
    assert store.kept == {}
    assert "session" not in client.cookies


def test_an_id_that_the_store_does_not_know_is_not_taken_over() -> None:
    store = Memory()
    client = Client(visits(store=store))
    client.get("/")
    (key,) = store.kept
    store.kept.clear()
    assert client.get("/").json == 1
    assert key not in store.kept
    for text in (b"\xff", b"{", b"", b"[]", b"null"):  # no text, no JSON, a list, null
        store.kept = dict.fromkeys(store.kept, text)
        assert client.get("/look").json == {}


def test_a_logout_stands_though_another_request_is_at_work() -> None:
    store = Memory()
    router = visits(store=store)

    @router.get("/slow")
    async def slow(req: Request) -> None:
        req.session["n"] = 99
        logged_out = Client(router)
        logged_out.cookies = client.cookies
        others.append(logged_out.get(req.query["other"]).headers.get("set-cookie", ""))

    client, others = Client(router), list[str]()
    for other in ("/clear", "/renew"):
        client.get("/")
        answer = client.get(f"/slow?other={other}")
        assert answer.status == 204
        assert "set-cookie" not in answer.headers  # that of the other request stands
        assert others.pop()
        assert all(b"99" not in text for text in store.kept.values())
        assert len(store.kept) == (other == "/renew")


def test_the_store_may_be_found_by_the_request() -> None:
    router = visits(store=lambda req: req.app.store)

    @router.on_start
    async def start(app: Any) -> None:
        app.store = Memory()

    with Client(router) as client:
        assert [client.get("/").json for _ in range(2)] == [1, 2]


def test_without_itsdangerous_the_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['itsdangerous'] = None; import kissapi.extras.sessions"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "ImportError: sessions need itsdangerous: pip install 'kissapi[sessions]'" in done.stderr

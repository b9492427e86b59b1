"""Every recipe, started as its reader starts it; the test client asks what its session leaves out."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any, cast

import pytest

from kissapi import Event, Fail, Request, Response, Router, Server
from kissapi.extras.testing import Client
from tests.examples.test_examples import Program, masked, session
from tests.places import ROOT

NAMES = sorted(file.stem for file in (ROOT / "examples/recipes").glob("*.py") if file.stem != "__init__")
NEEDS = {
    "database": ["aiosqlite", "msgspec"],
    "database_threads": ["msgspec"],
    "jobs": ["msgspec"],
    "htmx": ["jinja2"],
    "login": ["itsdangerous"],
    "redis_cache": ["redis"],
    "redis_sessions": ["redis", "itsdangerous"],
    "templates": ["jinja2", "itsdangerous"],
}


@pytest.fixture(autouse=True)
def _database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE", str(tmp_path / "notes.db"))


def recipe(name: str) -> Any:
    """The module of a recipe; the test is skipped where a package that it needs is not installed."""
    for package in NEEDS.get(name, []):
        pytest.importorskip(package, reason=f"{package} is not installed")
    return importlib.import_module(f"examples.recipes.{name}")


def backends_of(name: str) -> list[str]:
    is_for_asyncio = name == "database" or name.startswith("redis")
    return ["asyncio"] if is_for_asyncio else ["asyncio", "selectors"]


@pytest.mark.parametrize("name", NAMES)
def test_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if name.startswith("redis"):
        redis = request.getfixturevalue("redis_server")
        monkeypatch.setenv("REDIS_URL", redis.url)
        redis.ask("FLUSHALL")
    lines = session(recipe(name).__doc__)
    assert lines, "the docstring says how to ask it and what one sees"
    for backend in backends_of(name):
        monkeypatch.setenv("DATABASE", str(tmp_path / f"{backend}.db"))
        with Program(f"examples.recipes.{name}", backend) as program:
            for command, shown in lines:
                assert masked(program.answer(command)) == masked(shown), command


@pytest.mark.parametrize("name", NAMES)
def test_recipe_is_short_and_can_be_imported(name: str) -> None:
    assert isinstance(recipe(name).server, Server)
    source = (ROOT / f"examples/recipes/{name}.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source), clean=False) or ""
    code = [line for line in source.replace(docstring, "").splitlines() if line.strip()]
    assert len(code) <= 70


def test_the_guide_shows_what_the_recipes_say() -> None:
    """Each ```py block of its page stands in the recipe of its section."""
    page = (ROOT / "examples/guide/recipes.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[(\w+)\.py\]", page, re.MULTILINE)
    assert sorted(listed) == NAMES
    sources = [(ROOT / f"examples/recipes/{name}.py").read_text(encoding="utf-8") for name in NAMES]
    blocks = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= len(NAMES)
    for block in blocks:
        assert any(block in source for source in sources), f"in no recipe:\n{block}"


# Background jobs


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_jobs_are_done_before_the_end(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = recipe("jobs")
    sent: list[tuple[str, float]] = []

    async def deliver(mail: Any) -> None:
        await jobs.sleep(60)
        if mail.to == "bad":
            raise ValueError("no such address")
        sent.append((mail.to, client.clock.time()))

    monkeypatch.setattr(jobs, "deliver", deliver)
    with Client(jobs.server, backend) as client:
        places = [
            client.post("/mails", json={"to": to}).headers["location"] for to in ["bad", "a", "b", "c", "d"]
        ]
        start = client.clock.time()
        client.wait(61)
        assert [client.get(place).json["state"] for place in places] == ["failed", *["sent"] * 3, "waiting"]
        assert client.get("/mails/99").status == 404
        assert client.post("/mails", json={}).status == 422
        jobs.GRACE = 100.0
    assert sorted(to for to, _ in sent) == ["a", "b", "c", "d"]
    assert sent[-1][1] == start + 61 + 60, "the job under way was done anew"


def test_a_full_queue_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = recipe("jobs")

    async def deliver(mail: Any) -> None:
        await jobs.sleep(3)

    monkeypatch.setattr(jobs, "deliver", deliver)
    monkeypatch.setattr(jobs, "WAITING", 2)
    monkeypatch.setattr(jobs, "KEPT", 6)
    with Client(jobs.server) as client:
        answers = [client.post("/mails", json={"to": "ann"}) for _ in range(7)]
        assert [answer.status for answer in answers] == [202] * 6 + [503]
        assert answers[-1].headers["retry-after"] == "10"
        client.wait(4)
        client.post("/mails", json={"to": "ann"})
        assert client.get(answers[0].headers["location"]).status == 404, "forgotten"


# Pages


def test_a_long_note_is_flashed_in_part() -> None:
    text = "".join(f"{number:x}" for number in range(2000))  # more than a cookie holds, compressed
    client = Client(recipe("templates").server)
    assert client.post("/notes", form={"text": text}).status == 303
    assert f'<p class="info">{text[:40]} is noted</p>' in client.get("/").text


# Databases


@pytest.mark.parametrize("name", ["database", "database_threads"])
def test_a_request_is_a_transaction(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = recipe(name)
    for backend in backends_of(name):
        with Client(module.server, backend) as client:
            assert client.post("/notes", json={"text": "one"}).status == 201
            for wrong in ({"text": None}, {"text": {}}, {"text": 1 << 70}, {}, [], "text", None):
                assert client.post("/notes", json=wrong).status == 422
            assert [note["text"] for note in client.get("/notes").json][-1] == "one"
            for _ in range(2 * module.SIZE):  # each connection comes back
                assert client.get("/notes").status == client.get("/notes").status == 200


def test_what_is_not_committed_is_rolled_back() -> None:
    with Client(recipe("database").server, "asyncio") as client:
        client.post("/notes", json={"text": "kept"})

        async def half() -> None:
            async with client.service.app.pool.connection() as db:
                await db.execute("INSERT INTO notes (text) VALUES ('lost')")

        client.run(half())
        assert [note["text"] for note in client.get("/notes").json] == ["kept"]


class Insert(Router):
    """An app with the hook of the recipe, whose handlers end in another way."""

    def __init__(self) -> None:
        super().__init__()
        database = recipe("database")
        self.lifespan(database.connect)
        self.around(database.transaction)
        self.get("/notes")(database.every)

        @self.post("/{end}")
        async def insert(req: Any) -> str:
            await req.db.execute("INSERT INTO notes (text) VALUES (?)", (req.params["end"],))
            if req.params["end"] == "fail":
                raise Fail(409)
            if req.params["end"] == "leave":
                await Event().wait()  # for ever
            return req.params["end"]


@pytest.mark.parametrize("end", ["fail", "leave", "broken commit", "done"])
def test_a_transaction_ends_as_its_request_does(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Insert()

    async def commit(self: object) -> None:
        raise OSError("disk full")

    with Client(app, "asyncio", request_class=recipe("database").Req) as client:
        if end == "leave":
            with pytest.raises(TimeoutError):
                client.post("/leave")
            for _ in range(100):  # a thread of aiosqlite rolls back
                if client.app.pool.free.qsize() < recipe("database").SIZE:
                    client.wait(1)
            assert "POST /leave → client left" in client.log[-1]
        else:
            if end == "broken commit":
                monkeypatch.setattr("aiosqlite.Connection.commit", commit)
            status = client.post(f"/{end}").status
            monkeypatch.undo()
            assert status == {"fail": 409, "broken commit": 500, "done": 200}[end]
        assert [note["text"] for note in client.get("/notes").json] == ["done"] * (end == "done")


# Pagination


def links(answer: Any) -> dict[str, str]:
    return {
        rel: place for place, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers.get("link", ""))
    }


def test_pages_lead_to_each_other() -> None:
    client = Client(recipe("pagination").router)
    seen, place = [], "/books?size=30&shelf=a&shelf=b"
    while place:
        answer = client.get(place)
        seen += [book["id"] for book in answer.json]
        place = links(answer).get("next", "")
        assert not place or "shelf=a&shelf=b" in place
    assert seen == list(range(1, 101))
    assert links(answer).keys() == {"first", "prev", "last"}
    assert links(client.get("/books?size=100")).keys() == {"first", "last"}
    assert client.get("/books?page=9&size=100").json == []


def test_cursors_lead_to_the_end() -> None:
    client = Client(recipe("pagination").router)
    seen, place = [], "/books/after?size=30"
    while place:
        answer = client.get(place)
        seen += [book["id"] for book in answer.json]
        place = links(answer).get("next", "")
    assert seen == list(range(1, 101))


@pytest.mark.parametrize("query", ["page=0", "page=x", "size=101", "size=0"])
def test_pages_have_bounds(query: str) -> None:
    assert Client(recipe("pagination").router).get(f"/books?{query}").status == 400


# htmx


def test_htmx_gets_the_part_and_a_browser_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    htmx = recipe("htmx")
    monkeypatch.setattr(htmx, "tasks", [])
    client = Client(htmx.router)
    asks = {"HX-Request": "true"}
    assert client.post("/tasks", form={"text": "<b>"}, headers=asks).text == "<li>&lt;b&gt;</li>\n"
    page = client.post("/tasks", form={"text": "tea"}, follow_redirects=True)
    assert page.history[0].status == 303
    assert page.text.startswith("<!doctype html>")
    assert "<li>&lt;b&gt;</li>" in page.text
    assert "HX-Request" in page.headers["vary"]
    assert client.get("/?q=TE", headers=asks).text == "<li>tea</li>\n"
    back = client.get("/", headers={**asks, "HX-History-Restore-Request": "true"})
    assert back.text.startswith("<!doctype html>")
    assert client.post("/tasks", form={}).status == 400


# Templates


@pytest.fixture
def templates(monkeypatch: pytest.MonkeyPatch) -> Client:
    module = recipe("templates")
    monkeypatch.setattr(module, "notes", [])
    return Client(module.router)


def test_pages_escape_and_show_a_message_once(templates: Client) -> None:
    page = templates.post("/notes", form={"text": " <b>milk</b> "}, follow_redirects=True).text
    assert "<li>&lt;b&gt;milk&lt;/b&gt;</li>" in page
    assert '<p class="info">&lt;b&gt;milk&lt;/b&gt; is noted</p>' in page
    assert "is noted" not in templates.get("/").text
    page = templates.post("/notes", form={"text": " "}, follow_redirects=True).text
    assert '<p class="error">A note has a text</p>' in page
    assert page.count("<li>") == 1


def test_errors_have_a_page(templates: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "<title>404</title>" in templates.get("/nowhere").text
    answer = templates.post("/notes", form={})
    assert (answer.status, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "<p>the form has no &#39;text&#39;" in answer.text
    assert (
        templates.post("/notes", form={"text": "x"}, headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    )
    monkeypatch.setattr(recipe("templates"), "notes", None)
    answer = templates.get("/")
    assert answer.status == 500
    assert "<p>Internal Server Error</p>" in answer.text


def test_a_page_may_have_values_of_any_name_and_shows_the_errors_of_typed_input() -> None:
    module = recipe("templates")

    @module.router.get("/typed")
    async def typed(req: Request, number: int, page: int = 1) -> Response:
        return cast(Response, module.render(req, "notes.html", notes=[number], page=page, status="new"))

    try:
        client = Client(module.router)
        assert "<li>7</li>" in client.get("/typed?number=7").text
        assert "<p>number: is missing</p>" in client.get("/typed").text
    finally:
        importlib.reload(module)


# Login


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch) -> Client:
    login = recipe("login")
    monkeypatch.setattr(login, "COST", (2, 8, 1))  # a test need not take its time
    monkeypatch.setattr(login, "UNKNOWN", login.kept(bytes(16), bytes(64)))
    monkeypatch.setitem(login.users, "ann", login.hashed(ANN["password"]))
    return Client(login.router)


ANN = {"name": "ann", "password": "correct horse battery staple"}


def test_members_log_in_and_out(members: Client) -> None:
    answer = members.get("/members/?page=2", follow_redirects=True)
    assert answer.path == "/login?next=%2Fmembers%2F%3Fpage%3D2"
    answer = members.post(answer.path, form=ANN, follow_redirects=True)
    assert (answer.path, answer.text) == ("/members/?page=2", "hello, ann")
    members.post("/logout")
    assert members.get("/members/").status == 303
    assert members.post("/members/").status == 405


@pytest.mark.parametrize(("name", "password"), [("ann", "guess"), ("bob", ANN["password"])])
def test_others_do_not(members: Client, name: str, password: str) -> None:
    assert members.post("/login", form={"name": name, "password": password}).status == 403
    assert members.get("/members/").status == 303


def test_a_new_password_ends_old_sessions(members: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    login = recipe("login")
    members.post("/login", form=ANN)
    assert members.get("/members/").status == 200
    monkeypatch.setitem(login.users, "ann", login.hashed("another"))
    assert members.get("/members/").status == 303


@pytest.mark.parametrize("place", ["https://evil.example", "//evil.example", "/\\evil.example", "evil"])
def test_a_login_leads_to_no_other_site(members: Client, place: str) -> None:
    answer = members.post("/login", query={"next": place}, form=ANN)
    assert (answer.status, answer.headers["location"]) == (303, "/")

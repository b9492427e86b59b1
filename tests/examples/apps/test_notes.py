"""examples/apps/notes: pages, login, flash messages, upload, error pages, without a socket."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kissapi.extras.testing import Client

for name in ("aiosqlite", "itsdangerous", "jinja2", "multipart"):
    pytest.importorskip(name)

from examples.apps.notes.app import make  # noqa: E402

if TYPE_CHECKING:
    from kissapi.extras.testing import Answer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
EVIL = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(make(tmp_path)) as client:
        yield client


def log_in(client: Client) -> None:
    assert client.post("/login", form={"name": "ann", "password": "pw"}).status == 303


def test_a_login_is_greeted_once(client: Client) -> None:
    assert client.get("/").headers["location"] == "/login"
    assert client.post("/login", form={"name": "ann", "password": "no"}).status == 401
    assert client.post("/login", form={"name": "ann"}).status == 400
    log_in(client)
    assert "Hello ann" in client.get("/").text
    assert "Hello ann" not in client.get("/").text
    client.post("/logout")
    assert client.get("/").status == 303


def test_no_input_is_a_500(client: Client) -> None:
    long = "".join(f"{number:x}" for number in range(2000))  # more than a cookie holds, compressed
    assert client.post("/login", form={"name": long, "password": "pw"}).status == 401
    log_in(client)
    for page in (0, -(1 << 70), 1 << 61, 1 << 70):  # SQLite has 64 bits
        assert client.get(f"/?page={page}").status == 200


def test_other_pages_cannot_post(client: Client) -> None:
    form = {"name": "ann", "password": "pw"}
    assert client.post("/login", form=form, headers=EVIL).status == 403
    old_browser = {"Origin": "null"}  # no Sec-Fetch-Site, and an origin that says nothing: the token decides
    assert client.post("/login", form=form, headers=old_browser).status == 403
    token = field(client.get("/login"), "csrf_token")
    assert client.post("/login", form={**form, "csrf_token": token}, headers=old_browser).status == 303


def field(answer: Answer, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', answer.text)
    assert found
    return found[1]


def test_notes_have_pages_and_pictures(client: Client) -> None:
    log_in(client)
    for number in range(5):
        sent = client.post(
            "/notes", form={"text": f"nöte {number}"}, files={"image": ("a.png", PNG, "image/png")}
        )
        assert sent.status == 303, sent.text
    one, two = client.get("/").text, client.get("/?page=2").text
    assert (one.count("<li>"), two.count("<li>")) == (3, 2)
    assert "next" in one
    assert "previous" in two
    assert "nöte 4" in one
    picture = re.search(r'src="(/images/[^"]+)"', one)
    assert picture
    answer = client.get(picture[1])
    assert (answer.body, answer.headers["content-type"]) == (PNG, "image/png")
    assert client.get("/count").json == 5
    assert client.get("/?page=two").status == 422


def test_what_is_too_large_or_no_picture_is_refused(client: Client) -> None:
    log_in(client)
    text = {"image": ("a.txt", b"text", "text/plain")}
    assert client.post("/notes", form={"text": "x"}, files=text).status == 415
    large = {"image": ("a.png", PNG + bytes(3 << 20), "image/png")}
    assert client.post("/notes", form={"text": "x"}, files=large).status == 413
    assert client.get("/count").json == 0


@pytest.mark.parametrize("path", ["/nowhere", "/static/none.css", "/images/none.png"])
def test_error_pages_know_the_user(client: Client, path: str) -> None:
    log_in(client)
    client.get("/")
    answer = client.get(path)
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>404" in answer.text
    assert "ann" in answer.text


def test_files_are_kept_by_browsers_and_pages_are_compressed(client: Client) -> None:
    answer = client.get("/static/app.css")
    assert "css" in answer.headers["content-type"]
    assert client.get("/static/app.css", headers={"If-None-Match": answer.headers["etag"]}).status == 304
    client.get("/login")  # its answer sets a cookie, and is not compressed (BREACH)
    page = client.get("/login", headers={"Accept-Encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assert b"<!doctype" in gzip.decompress(page.body)

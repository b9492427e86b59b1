"""Redirects that the client follows when it is asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Request, Response, Router, redirect

if TYPE_CHECKING:
    from kissapi.extras.testing import Client
    from tests.extras.testing.app import Make

app = Router()
ANY = ["GET", "HEAD", "POST", "PUT", "DELETE"]


@app.route("/to/{status:int}", methods=ANY)
async def to(req: Request) -> Response:
    response = redirect(req.query["place"], req.params["status"])
    response.set_cookie("on", "way")
    return response


@app.route("/place", methods=ANY)
@app.route("/deep/place", methods=ANY)
async def place(req: Request) -> list[Any]:
    kinds = req.headers.get("content-type"), req.headers.get("x-own")
    return [req.method, req.path, req.query_string, req.text, *kinds, req.cookies]


@app.get("/round/{n:int}")
async def around(req: Request) -> Response:
    return redirect(f"/round/{req.params['n'] - 1}") if req.params["n"] else Response("there")


@app.get("/bare")
async def bare(req: Request) -> Response:
    return Response("no place", 302)


@pytest.fixture
def client(make: Make, backend: str) -> Client:
    return make(app, backend)


def test_they_are_followed_on_request_only(client: Client) -> None:
    query = {"place": "/place?q=1#part"}
    answer = client.get("/to/302", query=query)
    assert (answer.status, answer.history) == (302, ())
    answer = client.get("/to/302", query=query, headers={"x-own": "kept"}, follow_redirects=True)
    assert answer.json == ["GET", "/place", "q=1", "", None, "kept", {"on": "way"}]
    assert [each.status for each in answer.history] == [302]
    assert (answer.method, answer.path) == ("GET", "/place?q=1")
    assert answer.history[0].path == "/to/302?place=%2Fplace%3Fq%3D1%23part"


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_see_other_is_a_get(client: Client, status: int, method: str) -> None:
    path = f"/to/{status}?place=/place"
    answer = client.request(method, path, form={"a": "b"}, follow_redirects=True)
    assert answer.json[:5] == ["GET", "/place", "", "", None]


@pytest.mark.parametrize("status", [307, 308])
def test_a_temporary_redirect_sends_all_again(client: Client, status: int) -> None:
    answer = client.put(f"/to/{status}?place=/place", json=[1], follow_redirects=True)
    assert answer.json[:5] == ["PUT", "/place", "", "[1]", "application/json"]


@pytest.mark.parametrize("status", [302, 308])
def test_head_stays_head(client: Client, status: int) -> None:
    answer = client.head(f"/to/{status}?place=/place", follow_redirects=True)
    assert (answer.status, answer.method, answer.body) == (200, "HEAD", b"")
    assert len(answer.history) == 1


def test_a_body_in_pieces_cannot_be_sent_again(client: Client) -> None:
    with pytest.raises(ValueError, match=r"/to/307.* asks for the body again, but its pieces are gone"):
        client.post("/to/307?place=/place", body=iter([b"a", b"b"]), follow_redirects=True)
    assert client.post("/to/303?place=/place", body=iter([b"a"]), follow_redirects=True).status == 200


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("place", "/to/place"),
        ("../place", "/place"),
        ("?place=/place", "/place"),
        ("http://localhost//place", "//place"),
        ("//localhost/place", "/place"),
        ("http://localhost/deep/place", "/deep/place"),
        ("http://LOCALHOST:80/place", "/place"),
        ("http://localhost", "/"),
    ],
)
def test_the_place_may_be_relative_or_whole(client: Client, place: str, path: str) -> None:
    answer = client.get("/to/302", query={"place": place}, follow_redirects=True)
    assert answer.path == path
    assert answer.history


@pytest.mark.parametrize(
    "place", ["http://example.com/", "//example.com/place", "http://localhost:8080/", "mailto:a@example.com"]
)
def test_other_hosts_are_not_followed(client: Client, place: str) -> None:
    with pytest.raises(ValueError, match=r"leads to .*, and this client asks http://localhost alone"):
        client.get("/to/302", query={"place": place}, follow_redirects=True)


def test_the_host_is_that_of_the_request(client: Client) -> None:
    host = {"Host": "shop.example:8000"}
    query = {"place": "http://shop.example:8000/place"}
    assert client.get("/to/302", query=query, headers=host, follow_redirects=True).status == 200


def test_https_has_a_client_of_its_own(make: Make, backend: str) -> None:
    query = {"place": "https://localhost/place"}
    with pytest.raises(
        ValueError, match=r'leads to https://localhost/place, .*: Client\(app, scheme="https"\)'
    ):
        make(app, backend).get("/to/302", query=query, follow_redirects=True)
    client = make(app, backend, scheme="https")
    assert client.get("/to/302", query=query, follow_redirects=True).json[1] == "/place"


def test_there_is_an_end(client: Client) -> None:
    answer = client.get("/round/20", follow_redirects=True)
    assert answer.text == "there"
    assert [each.path for each in answer.history][-2:] == ["/round/2", "/round/1"]
    with pytest.raises(ValueError, match=r"^more than 20 redirects: /round/21 → /round/20 → "):
        client.get("/round/21", follow_redirects=True)
    assert client.get("/bare", follow_redirects=True).status == 302


def test_a_stream_may_be_at_the_end(client: Client) -> None:
    with client.stream("GET", "/round/3", follow_redirects=True) as answer:
        assert list(answer) == [b"there"]

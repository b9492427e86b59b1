"""examples/apps/live: chat, events, upload, htmx, without a socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.apps.live.app import listeners, rooms, router
from kissapi.extras.testing import Client


@pytest.fixture(params=["asyncio", "selectors"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(router, backend=request.param) as client:
        yield client


def test_what_is_said_in_a_room_stays_in_it(client: Client) -> None:
    with (
        client.websocket("/rooms/red?name=ann") as ann,
        client.websocket("/rooms/red?name=bob") as bob,
        client.websocket("/rooms/blue?name=eve") as eve,
    ):
        assert ann.receive() == "+ann"
        assert ann.receive() == "+bob" == bob.receive()
        bob.send("hi")
        assert ann.receive() == "bob: hi" == bob.receive()
        eve.send("x")
        assert (eve.receive(), eve.receive()) == ("+eve", "eve: x")
    client.wait(1)
    assert not rooms, "a client may think of any number of them"


def test_listeners_hear_the_ticker_and_the_list(client: Client) -> None:
    with client.stream("GET", "/events") as answer:
        pieces = iter(answer)
        heard = next(pieces)
        assert b"event: tick" in heard
        client.post("/todo", form={"text": "<b>"}, headers={"HX-Request": "true"})
        while b"event: todo\ndata: <b>" not in heard:
            heard += next(pieces)
    client.wait(1)
    assert not listeners


def test_a_listener_that_does_not_read_costs_no_memory(client: Client) -> None:
    with client.stream("GET", "/events"):
        client.wait(1000)
        assert [queue.qsize() <= 100 for queue in listeners] == [True]


def test_an_upload_tells_how_far_it_is(client: Client) -> None:
    with client.stream("GET", "/events") as answer:
        sent = client.put("/files/a", body=(b"x" * 1000 for _ in range(5)))
        assert sent.json == {"size": 5000}
        heard = b""
        for piece in answer:
            heard += piece
            if b'"done":5000' in heard:
                break
        assert b"event: progress" in heard


def test_htmx_gets_a_piece_of_html(client: Client) -> None:
    htmx = {"HX-Request": "true"}
    answer = client.post("/todo", form={"text": "<b>"}, headers=htmx)
    assert (answer.text, answer.headers["hx-trigger"]) == ("<li>&lt;b&gt;</li>", "added")
    assert answer.headers["content-type"].startswith("text/html")
    assert client.post("/todo", form={"text": "<b>"}).status == 400
    assert client.post("/todo", form={"no": "x"}, headers=htmx).status == 400
    assert client.get("/fragment").text == "<b>0 listen, 0 chat</b>"
    assert "EventSource" in client.get("/").text

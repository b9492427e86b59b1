"""WebSockets of an ASGI app: handshakes accepted and denied, messages, every end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from kissapi import Request, Response, Router
from kissapi.extras.asgi import from_asgi
from kissapi.extras.testing import Client
from kissapi.extras.testing.websocket import Refused
from kissapi.extras.websocket import Closed
from tests.extras.asgi.app import App
from tests.frames import handshake


class Talk:
    def __init__(self, hooked: bool) -> None:
        self.app = App()
        router = Router()
        router["/legacy"] = from_asgi(self.app)
        if hooked:

            @router.around
            async def tag(req: Request) -> AsyncGenerator[None, Response]:
                response = yield
                response.headers["x-tag"] = "hooked"

        self.client = Client(router)

    def open(self, path: str = "/chat", **options: Any) -> Any:
        return self.client.websocket("/legacy" + path, **options)


@pytest.fixture(params=["plain", "hooked"])
def talk(request: pytest.FixtureRequest) -> Iterator[Talk]:
    made = Talk(request.param == "hooked")
    with made.client:
        yield made
        made.client.wait(30)
        assert made.client.service.background == set()


def test_messages_both_ways(talk: Talk) -> None:
    with talk.open() as ws:
        ws.send("text")
        assert ws.receive() == "text"
        ws.send(b"bytes")
        assert ws.receive() == b"bytes"
        ws.send("x" * 200_000)
        assert len(ws.receive()) == 200_000
    talk.client.wait(1)
    assert talk.app.seen[1:] == ["closed 1000"]


def test_the_scope(talk: Talk) -> None:
    seen: list[Any] = []

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "websocket.close"})

    talk.app.chat = chat  # type: ignore[method-assign]
    with pytest.raises(Refused):
        talk.open("/chat?x=1", subprotocols=["b", "a"])
    (scope,) = seen
    assert scope["type"] == "websocket"
    assert scope["scheme"] == "ws"
    assert scope["path"] == "/legacy/chat"
    assert scope["root_path"] == "/legacy"
    assert scope["query_string"] == b"x=1"
    assert scope["subprotocols"] == ["b", "a"]
    assert "method" not in scope
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert scope["state"] == {"pool": "open"}


def test_a_subprotocol_and_fields_of_the_101(talk: Talk) -> None:
    with talk.open(subprotocols=["v2", "v1"]) as ws:
        assert ws.subprotocol == "v2"
    raw = talk.client.exchange(handshake("/legacy/chat"))
    assert raw.startswith(b"HTTP/1.1 101 ")
    assert raw.count(b"Set-Cookie: ") == 2
    assert b"Sec-Websocket-Protocol" not in raw


def test_names_of_fields_are_the_same_in_capitals(talk: Talk) -> None:
    message = handshake("/legacy/chat")
    capitals = message.replace(b"Upgrade:", b"UPGRADE:").replace(b": websocket", b": WEBSOCKET")
    assert capitals != message
    assert talk.client.exchange(capitals).startswith(b"HTTP/1.1 101 ")


def test_nothing_overtakes_the_101(talk: Talk) -> None:
    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "at once"})
        await send({"type": "websocket.close"})

    talk.app.chat = chat  # type: ignore[method-assign]
    with talk.open() as ws:
        assert ws.receive() == "at once"


def test_the_app_closes(talk: Talk) -> None:
    with talk.open() as ws:
        ws.send("close")
        with pytest.raises(Closed, match="3456 asked"):
            ws.receive()
    talk.client.wait(1)
    assert talk.app.seen[1:] == ["closed 3456 asked"]


@pytest.mark.parametrize(("word", "code"), [("raise", 1011), ("end", 1000)])
def test_the_app_ends(talk: Talk, word: str, code: int) -> None:
    with talk.open() as ws:
        ws.send(word)
        with pytest.raises(Closed, match=str(code)):
            ws.receive()
    assert ("ValueError: asked to" in "\n".join(talk.client.log)) == (word == "raise")


def test_the_client_closes_or_leaves(talk: Talk) -> None:
    talk.open().close(4001, "enough")
    talk.client.wait(1)
    talk.open().leave()
    talk.client.wait(1)
    assert talk.app.seen[1:] == ["closed 4001 enough", "closed 1006"]


def test_a_handshake_is_refused(talk: Talk) -> None:
    with pytest.raises(Refused) as refused:
        talk.open("/refuses")
    assert refused.value.answer.status == 403
    assert talk.app.seen[1:] == ["then 1006"]


def test_a_handshake_is_denied_in_the_apps_words(talk: Talk) -> None:
    with pytest.raises(Refused) as refused:
        talk.open("/denies")
    answer = refused.value.answer
    assert (answer.status, answer.headers["x-why"]) == (418, "tea")
    assert answer.read() == b"no coffee"


@pytest.mark.parametrize("path", ["/fails", "/nothing"])
def test_an_app_that_does_not_answer(talk: Talk, path: str) -> None:
    with pytest.raises(Refused) as refused:
        talk.open(path)
    assert refused.value.answer.status == 500


def test_a_client_that_leaves_before_the_answer(talk: Talk) -> None:
    raw = talk.client.exchange(handshake("/legacy/slow_accept"))
    assert talk.app.seen[1:] == ["websocket.connect", "websocket.disconnect"]
    assert raw.startswith(b"HTTP/1.1 503")
    assert not any("ERROR" in line for line in talk.client.log)


def test_what_is_no_handshake() -> None:
    talk = Talk(False)
    assert talk.client.exchange(handshake("/legacy/chat", "Sec-WebSocket-Version: 8")).startswith(
        b"HTTP/1.1 4"
    )
    # Not a WebSocket: the app is asked in HTTP.
    fields = {"upgrade": "h2c", "connection": "upgrade"}
    assert talk.client.get("/legacy/hello", headers=fields).body == b"Hello"

"""WebSockets of the client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import Request, Response, Router, sleep
from kissapi.http.upgrade import Upgrade
from tests.extras.testing.app import Make, told

if TYPE_CHECKING:
    from kissapi.extras.testing import Client


@pytest.fixture
def chat(make: Make, backend: str) -> Client:
    app = Router()

    @app.websocket("/chat", subprotocols=["v1"], ping_interval=20, ping_timeout=5)
    async def chat(ws: Any) -> None:
        try:
            await ws.send(f"hello, {ws.request.query.get('name')}")
            async for message in ws:
                if message == "sleep":
                    await sleep(100)
                elif message == "bye":
                    await ws.close(4000, "bye")
                elif message == "broken":
                    raise KeyError("drawer")
                await ws.send(message * 2)
        finally:
            told.append("left")

    @app.get("/plain")
    async def plain(req: Request) -> str:
        return "plain"

    @app.get("/endless")
    async def endless(req: Request) -> AsyncIterator[str]:
        while True:
            yield "tick"
            await sleep(60)

    return make(app, backend)


def test_messages_both_ways(chat: Client) -> None:
    with chat.websocket("/chat", subprotocols=["v2", "v1"], query={"name": "ann"}) as ws:
        assert ws.answer.status == 101
        assert ws.subprotocol == "v1"
        assert ws.receive() == "hello, ann"
        for message in ("text", b"\0\xff", "", "x" * 200_000):
            ws.send(message)
            assert ws.receive() == message * 2
        ws.send("sleep")
        now = chat.loop.now
        with pytest.raises(TimeoutError):
            ws.receive(seconds=99)
        assert ws.receive() == "sleepsleep"
        assert chat.loop.now == now + 100
        ws.ping(b"there?")
        assert repr(ws) == "<WebSocket /chat open>"
    assert ws.close_code == 1000
    assert told == ["left"]


def test_a_browser_answers_pings(chat: Client) -> None:
    with chat.websocket("/chat") as ws:
        chat.wait(500)
        assert ws.close_code is None
        ws.send("still")
        assert [ws.receive(), ws.receive()] == ["hello, None", "stillstill"]


def test_the_server_ends_it(chat: Client, capsys: pytest.CaptureFixture[str]) -> None:
    from kissapi.extras.websocket import Closed

    with chat.websocket("/chat") as ws:
        ws.send("bye")
        assert list(ws) == ["hello, None"]
        assert (ws.close_code, ws.close_reason) == (4000, "bye")
        assert ws._connection.over  # for the client has answered
        with pytest.raises(Closed, match="4000 bye"):
            ws.send("too late")
        with pytest.raises(Closed):
            ws.receive()
    with chat.websocket("/chat") as ws:
        ws.send("broken")
        assert list(ws) == ["hello, None"]
        assert ws.close_code == 1011
    assert "KeyError: 'drawer'" in capsys.readouterr().err


def test_both_sides_end_it_with_a_code_and_a_reason(make: Make, backend: str) -> None:
    app = Router()

    @app.websocket("/gate")
    async def gate(ws: Any) -> None:
        if await ws.receive() == "end":
            await ws.close(1014, "no way")
        async for _ in ws:
            pass
        told.append(f"{ws.close_code} {ws.close_reason}")

    client = make(app, backend)
    with client.websocket("/gate") as ws:
        ws.send("end")
        assert list(ws) == []
        assert (ws.close_code, ws.close_reason) == (1014, "no way")
    ws = client.websocket("/gate")
    ws.send("go on")
    ws.close(1014, "bad")
    assert (ws.close_code, ws.close_reason) == (1014, "bad")
    assert told == ["1014 no way", "1014 bad"]


def test_the_client_leaves_without_a_word(chat: Client) -> None:
    ws = chat.websocket("/chat")
    ws.leave()
    chat.wait(0)
    assert told == ["left"]
    assert ws.close_code == 1006
    with pytest.raises(ZeroDivisionError), chat.websocket("/chat"):
        _ = 1 / 0
    chat.wait(0)
    assert told == ["left", "left"]


def test_a_client_that_is_refused(chat: Client) -> None:
    from kissapi.extras.testing.websocket import Refused

    for path, status in (("/plain", 200), ("/nowhere", 404)):
        with pytest.raises(Refused) as caught:
            chat.websocket(path)
        assert caught.value.answer.status == status
    with pytest.raises(Refused, match="403 Forbidden"):
        chat.websocket("/chat", headers={"Origin": "https://elsewhere.example"})
    with pytest.raises(Refused, match="200 OK>: a body that does not end"):
        chat.websocket("/endless")
    assert chat.service.connections == set()


def test_a_wrong_handshake_is_none(make: Make) -> None:
    app = Router()

    class Protocol:
        def connection_made(self, transport: Any) -> None:
            pass

        def connection_lost(self, error: Exception | None) -> None:
            told.append("left")

    @app.get("/")
    async def wrong(req: Request) -> Response:
        return Upgrade("websocket", Protocol(), {"Sec-WebSocket-Accept": "x"})

    with pytest.raises(ValueError, match="a wrong Sec-WebSocket-Accept"):
        make(app, "selectors").websocket("/")
    assert told == ["left"]


def test_a_server_that_breaks_the_rules(make: Make) -> None:
    """The client says so, as a browser does, and ends."""
    from kissapi.extras.websocket.frames import TEXT, frame
    from kissapi.extras.websocket.handshake import accept_of

    class Wrong:
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            transport.write(
                frame(TEXT, b"fine") + frame(TEXT, b"masked", key=b"abcd") + frame(TEXT, b"behind")
            )

        def data_received(self, data: bytes) -> None:
            told.append(data[:2].hex())
            self.transport.close()

        def connection_lost(self, error: Exception | None) -> None:
            pass

    app = Router()

    @app.get("/")
    async def wrong(req: Request) -> Response:
        accept = accept_of(req.headers["sec-websocket-key"])
        return Upgrade("websocket", Wrong(), {"Sec-WebSocket-Accept": accept})

    with make(app, "selectors").websocket("/") as ws:
        assert list(ws) == ["fine"]
        assert ws.close_code == 1002
    (head,) = told
    assert head[:2] == "88", "a close"
    assert head[2] in "89ab", "which is masked"

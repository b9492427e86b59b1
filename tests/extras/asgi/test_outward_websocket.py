"""WebSockets over ASGI: the handshake, messages both ways, closing, and the ends of both sides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import kissapi
from kissapi import Fail, Request, Response, Router
from kissapi.extras.asgi import to_asgi
from kissapi.extras.websocket import WebSocket, broadcast
from tests.extras.asgi.driver import Answer, Call, Driver

CONNECT = {"type": "websocket.connect"}
DENIAL = {"websocket.http.response": {}}


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": data, "bytes": None}


def left(code: int, reason: str = "") -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def make_app(ends: list[Any]) -> Any:
    router = Router()

    @router.websocket("/echo", subprotocols=["chat.v1"], max_message=100_000)
    async def echo(ws: WebSocket) -> None:
        ws.request.on_end(lambda outcome, size: ends.append(outcome))
        try:
            async for message in ws:
                await ws.send(message)
        finally:
            ends.append((ws.close_code, ws.close_reason))

    @router.websocket("/close/{code:int}")
    async def close(ws: WebSocket, code: int) -> None:
        await ws.ping()
        await ws.close(code, "because")
        await kissapi.sleep(0.01)
        ends.append("handler")

    @router.websocket("/bug")
    async def bug(ws: WebSocket) -> None:
        raise RuntimeError("a bug")

    @router.websocket("/slow")
    async def slow(ws: WebSocket) -> None:
        await kissapi.sleep(0.05)
        ends.append([message async for message in ws])

    @router.websocket("/many")
    async def many(ws: WebSocket) -> None:
        for number in range(100):
            await ws.send(b"x" * 20_000)
            ends.append(number)

    @router.websocket("/all")
    async def everybody(ws: WebSocket) -> None:
        broadcast([ws], "to all")
        await ws.receive()

    @router.websocket("/guarded/{what}", before=[guard])
    async def guarded(ws: WebSocket, what: str) -> None:
        pass

    return to_asgi(router)


async def guard(req: Request) -> Response | None:
    what = req.params["what"]
    if what == "fail":
        raise Fail(403, "not you")
    return Response(iter(["no ", "entry"]), 401) if what == "response" else None


def test_an_echo_and_a_client_that_closes() -> None:
    ends: list[Any] = []

    async def main(driver: Driver) -> None:
        scope = driver.websocket("/echo", subprotocols=["other", "chat.v1"])
        call = Call(driver.app, scope, CONNECT)
        accepted = await call.next("websocket.accept")
        assert (accepted["subprotocol"], accepted["headers"]) == ("chat.v1", [])
        call.give(text("Grüße"))
        assert (await call.next("websocket.send"))["text"] == "Grüße"
        call.give({"type": "websocket.receive", "bytes": b"\x00"})
        assert (await call.next("websocket.send"))["bytes"] == b"\x00"
        call.give(left(4001, "done"))
        await call.end()
        assert call.sent == []

    with Driver(make_app(ends)) as driver:
        driver.run(main(driver))
    assert ends == [(4001, "done"), "sent"]


def test_the_server_has_judged_the_handshake() -> None:
    async def main(driver: Driver) -> None:
        fields = [("connection", "upgrade"), ("sec-websocket-key", "testserver=="), ("upgrade", "WebSocket")]
        call = Call(driver.app, driver.websocket("/echo", fields), CONNECT)
        await call.next("websocket.accept")
        call.give(left(1001))
        await call.end()

    with Driver(make_app([])) as driver:
        driver.run(main(driver))


def test_a_client_that_is_lost() -> None:
    ends: list[Any] = []

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.websocket("/echo"), CONNECT)
        await call.next("websocket.accept")
        call.give(left(1006))
        await call.end()

    with Driver(make_app(ends)) as driver:
        driver.run(main(driver))
    assert ends[0] == (1006, "")


@pytest.mark.parametrize(
    ("path", "close"),
    [("/close/4000", (4000, "because")), ("/bug", (1011, ""))],
)
def test_a_handler_that_ends(path: str, close: tuple[int, str], capsys: pytest.CaptureFixture[str]) -> None:
    ends: list[Any] = []

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.websocket(path), CONNECT)
        message = await call.next("websocket.close")
        assert (message["code"], message["reason"]) == close
        await call.end()

    with Driver(make_app(ends)) as driver:
        driver.run(main(driver))
    assert ends == (["handler"] if "close" in path else [])
    assert ("RuntimeError: a bug" in capsys.readouterr().out) == (path == "/bug")


def test_messages_of_before_the_end_arrive() -> None:
    ends: list[Any] = []

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.websocket("/slow"), CONNECT)
        await call.next("websocket.accept")
        for number in range(200):  # more than an inbox takes
            call.give(text(str(number)))
        call.give(left(1000))
        await call.end()

    with Driver(make_app(ends)) as driver:
        driver.run(main(driver))
    assert ends == [[str(number) for number in range(200)]]


def test_a_message_that_is_too_long() -> None:
    ends: list[Any] = []

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.websocket("/echo"), CONNECT)
        await call.next("websocket.accept")
        call.give(text("x" * 100_001))
        assert (await call.next("websocket.close"))["code"] == 1009
        await call.end()

    with Driver(make_app(ends)) as driver:
        driver.run(main(driver))
    assert ends[0] == (1009, "a message may have 100000 bytes")


def test_a_client_that_takes_nothing_holds_up_the_handler() -> None:
    ends: list[Any] = []

    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.websocket("/many"), CONNECT)
        await call.next("websocket.send")
        call.room.clear()
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(ends) < 15
        call.room.set()
        await call.next("websocket.close")
        await call.end()
        assert len(ends) == 100

    with Driver(make_app(ends)) as driver:
        driver.run(main(driver))


def test_broadcast() -> None:
    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.websocket("/all"), CONNECT)
        assert (await call.next("websocket.send"))["text"] == "to all"
        call.give(left(1001))
        await call.end()

    with Driver(make_app([])) as driver:
        driver.run(main(driver))


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/guarded/fail", 403, b"not you"),
        ("/guarded/response", 401, b"no entry"),
        ("/none", 404, b"Not Found"),
    ],
)
def test_a_refused_handshake(path: str, status: int, body: bytes) -> None:
    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.websocket(path, extensions=DENIAL), CONNECT)
        await call.end()
        answer = Answer(call.sent)
        assert (answer.status, answer.body) == (status, body)
        assert call.sent[0]["type"] == "websocket.http.response.start"
        call = Call(driver.app, driver.websocket(path), CONNECT)  # a server without that extension
        await call.end()
        assert call.sent == [{"type": "websocket.close"}]

    with Driver(make_app([])) as driver:
        driver.run(main(driver))


def test_pages_of_other_sites_are_refused() -> None:
    async def main(driver: Driver, origin: str) -> str:
        scope = driver.websocket("/echo", [("origin", origin)], extensions=DENIAL)
        call = Call(driver.app, scope, CONNECT)
        await call.until(lambda: bool(call.sent))
        call.give(left(1006))
        await call.end()
        return str(call.sent[0]["type"])

    with Driver(make_app([])) as driver:
        assert driver.run(main(driver, "http://localhost")) == "websocket.accept"
        assert driver.run(main(driver, "http://evil.example")) == "websocket.http.response.start"


def test_a_client_that_leaves_before_the_handshake() -> None:
    async def main(driver: Driver) -> None:
        call = Call(driver.app, driver.websocket("/echo"), left(1006))
        await call.end()
        assert call.sent == []

    with Driver(make_app([])) as driver:
        driver.run(main(driver))


def test_a_server_without_websockets(capsys: pytest.CaptureFixture[str]) -> None:
    fields = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-version", "13")]
    with Driver(make_app([])) as driver:
        answer = driver.ask("GET", "/echo", [*fields, ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")])
    assert answer.status == 500
    assert "uvicorn needs the package websockets" in capsys.readouterr().out

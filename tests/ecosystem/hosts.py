"""to_asgi under uvicorn, hypercorn and granian: the answers are those of kissapi's own server."""

from __future__ import annotations

import http.client
import socket
from functools import partial
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.ecosystem.alike import Told, compare, files
from tests.ecosystem.site import COMMANDS, SECONDS, OtherSite, check
from tests.peer import reset, until


def main() -> str:
    asked = []
    with files() as folder:
        for server in COMMANDS:
            with OtherSite(server, "tests.ecosystem.hosted:app", FOLDER=str(folder)) as site:
                asked.append(f"{server} {compare(server, folder, partial(ask, site))}")
                stream(site)
                leave(site)
                talk(site)
            # granian 2.8 panics at a stop, now and then, and tells no end then ("Cannot drop pointer …").
            stopped = "the app has stopped" in site.output or "panicked" in site.output
            check(f"{server}: the end of the app", stopped, site.output)
    return f"answers like those of our own server: {', '.join(asked)}; streams, WebSocket, ends, lifespan"


def ask(site: OtherSite, method: str, target: str, fields: Any, body: Any) -> Told:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=SECONDS)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in fields:
            connection.putheader(name, value)
        if not isinstance(body, bytes):
            connection.putheader("transfer-encoding", "chunked")
            connection.endheaders(iter(body), encode_chunked=True)
        else:
            if body or method == "POST":
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()
    finally:
        connection.close()


def stream(site: OtherSite) -> None:
    """Both ways, piece by piece: neither side has the whole."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=SECONDS)
    connection.request("GET", "/ticks")
    answer = connection.getresponse()
    check("a piece before the next is made", answer.read(5) == b"first")
    site.ask("/go", method="POST")
    check("the rest", answer.read() == b"second")
    connection.putrequest("POST", "/in")
    connection.putheader("content-length", "200000")
    connection.endheaders(bytes(100_000))
    until(lambda: site.ask("/arrived").json == 100_000, SECONDS)
    connection.send(bytes(100_000))
    check("an upload as it comes", connection.getresponse().read() == b"200000")
    connection.close()
    check("events", site.ask("/events").text == 'id: 1\ndata: one\n\ndata: {"two":2}\n\n')


def leave(site: OtherSite) -> None:
    check("an answer", site.ask("/after").text == "soon")
    until(lambda: {"after", "('sent', 4)"} <= set(site.ask("/ends").json), SECONDS)
    for count, end in enumerate((reset, socket.socket.close), 1):
        sock = socket.create_connection(("127.0.0.1", site.port), SECONDS)
        sock.sendall(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.recv(1000)
        end(sock)
        wait_for_end(site, count)
    print("ok: clients that leave")


def wait_for_end(site: OtherSite, count: int) -> None:
    """Wait until `count` clients have left."""
    until(lambda: site.ask("/ends").json.count("client left") == count, SECONDS)


def talk(site: OtherSite) -> None:
    where = f"ws://127.0.0.1:{site.port}"
    with connect(f"{where}/ws", subprotocols=["chat.v1"]) as ws:  # type: ignore[list-item]
        check("a subprotocol", ws.recv() == "hello chat.v1 /ws")
        for message in ("é" * 70_000, b"\x00" * 70_000):
            ws.send(message)
            check("a message", ws.recv() == message)
        ws.send("bye")
        try:
            ws.recv()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
        check("the code of the app", code == 4001, code)
    try:
        connect(f"{where}/none").close()
        raise AssertionError("it was accepted")
    except InvalidStatus as refused:
        status = refused.response.status_code
        check("a refusal", status == 404, status)

"""Sendfile: big files on their way: whole, no faster than they are taken, and closed however it ends."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi.extras.files import sendfile, static
from tests.extras.public import TEXT, open_files
from tests.peer import client_of, connect, until
from tests.serving import THREE
from tests.wire import Wire, parse_answers

if TYPE_CHECKING:
    from kissapi import Server

BIG = 3_000_001  # more than a socket takes at once, and no round number


@pytest.fixture(params=THREE)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Over a wire that does not let the kernel write


def big(public: Path, size: int = BIG) -> bytes:
    data = os.urandom(1000) * (size // 1000 + 1)
    (public / "big.bin").write_bytes(data[:size])
    return data[:size]


GET_BIG = b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
GET_TEXT = b"GET /text.txt HTTP/1.1\r\nHost: a\r\n\r\n"


def test_no_more_is_read_than_the_client_takes(public: Path, parser_class: Any) -> None:
    data = big(public)
    wire = Wire(static("/", public), parser_class, room=100).send(GET_BIG + GET_TEXT)
    assert len(open_files(public)) == 1
    while len(wire.received) < BIG:
        assert wire.transport.get_write_buffer_size() <= sendfile.READ + 1000
        wire.take(100_000)
    wire.take()
    assert [body for _, _, body in parse_answers(wire.received)] == [data, TEXT]


@pytest.mark.parametrize("send", [GET_BIG, b"GET /big.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"])
def test_its_length_is_told(public: Path, send: bytes) -> None:
    big(public)
    (answer,) = parse_answers(Wire(static("/", public)).send(send).received)
    assert answer[1]["content-length"] == str(BIG)
    assert "transfer-encoding" not in answer[1]


def test_a_file_that_shrinks_meanwhile_cuts_the_connection(public: Path) -> None:
    big(public)
    wire = Wire(static("/", public), room=1000).send(GET_BIG)
    os.truncate(public / "big.bin", sendfile.READ + 10)
    wire.take()
    assert wire.transport.aborted
    assert len(wire.received) < BIG
    assert f"the body ended after {sendfile.READ + 10} of {BIG} bytes" in "\n".join(wire.lines)


def test_a_file_that_grows_meanwhile_is_sent_as_promised(public: Path) -> None:
    data = big(public)
    wire = Wire(static("/", public), room=1000).send(GET_BIG + GET_TEXT)
    with open(public / "big.bin", "ab") as more:
        more.write(b"more" * 1000)
    wire.take()
    assert [body for _, _, body in parse_answers(wire.received)] == [data, TEXT]


def test_a_file_that_is_exchanged_meanwhile_is_sent_as_it_was(public: Path) -> None:
    data = big(public)
    wire = Wire(static("/", public), room=1000).send(GET_BIG)
    (public / "other").write_bytes(b"other")
    os.replace(public / "other", public / "big.bin")
    wire.take()
    assert parse_answers(wire.received)[0][2] == data


@pytest.mark.parametrize("end", [Wire.lose, lambda wire: wire.wait(100)], ids=["leaves", "takes nothing"])
def test_the_file_is_closed_when_the_client(public: Path, end: Callable[[Wire], Wire]) -> None:
    big(public)
    wire = Wire(static("/", public), room=1000).send(GET_BIG)
    assert len(open_files(public)) == 1
    end(wire)
    assert wire.transport.closing
    assert open_files(public) == []


# Over real sockets, where the kernel writes


@pytest.fixture(params=["by the kernel", "by reading"])
def by(request: pytest.FixtureRequest, backend: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Who sends what is big."""
    if request.param == "by reading":
        monkeypatch.delattr(os, "sendfile", raising=False)
        yield
        return
    if not hasattr(os, "sendfile"):
        pytest.skip("this system has no sendfile")
    calls = []
    real = os.sendfile

    def count(*arguments: Any) -> int:
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(os, "sendfile", count)
    yield
    assert calls


def fetch(client: http.client.HTTPConnection, path: str, **fields: str) -> bytes:
    client.request("GET", path, headers=fields)
    return client.getresponse().read()


def everything(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 20), b""))


@pytest.mark.usefixtures("by")
def test_a_big_file_arrives(public: Path, serve: Callable[..., Server], parser_class: Any) -> None:
    data = big(public)
    with client_of(serve(static("/", public), parser_class=parser_class).port) as client:
        for _ in range(2):
            assert fetch(client, "/big.bin") == data
            assert fetch(client, "/text.txt") == TEXT
            assert fetch(client, "/big.bin", Range=f"bytes=1000001-{BIG}") == data[1000001:]
            assert fetch(client, "/big.bin", Range="bytes=-100000") == data[-100000:]


@pytest.mark.usefixtures("by")
def test_a_part_far_behind_what_32_bits_can_count(public: Path, serve: Callable[..., Server]) -> None:
    with open(public / "big.bin", "wb") as sparse:
        try:
            sparse.truncate(5 << 30)
        except OSError:
            pytest.skip("this file system has no files with holes")
    with client_of(serve(static("/", public)).port) as client:
        zeros = fetch(client, "/big.bin", Range="bytes=5000000000-5000199999")
        assert zeros == bytes(200_000)
        client.request("HEAD", "/big.bin")
        assert client.getresponse().headers["Content-Length"] == str(5 << 30)


LAST = b"GET /text.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_slow_readers_and_quick_ones_at_once(public: Path, serve: Callable[..., Server]) -> None:
    data = big(public)
    server = serve(static("/", public))
    with ExitStack() as stack, client_of(server.port) as quick:
        slow = [stack.enter_context(connect(server.port)) for _ in range(3)]
        for client in slow:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.sendall(GET_BIG + LAST)
        assert fetch(quick, "/text.txt") == TEXT
        assert fetch(quick, "/big.bin") == data
        for client in slow:
            assert [body for _, _, body in parse_answers(everything(client))] == [data, TEXT]


def test_behind_answers_that_the_client_has_not_taken_yet(public: Path, serve: Callable[..., Server]) -> None:
    data = big(public)
    middle = data[:60_000]
    (public / "middle.bin").write_bytes(middle)
    get_middle = b"GET /middle.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    with connect(serve(static("/", public)).port) as client:
        client.sendall(get_middle * 60 + GET_BIG + get_middle + GET_BIG + LAST)
        time.sleep(0.05)  # the server is stuck by now
        bodies = [body for _, _, body in parse_answers(everything(client))]
    assert bodies == [*[middle] * 60, data, middle, data, TEXT]


@pytest.fixture
def endless(public: Path) -> int:
    """Size of a file that is more than the buffers of any connection."""
    with open(public / "big.bin", "wb") as sparse:
        return sparse.truncate(32 << 20)


def stuck(server: Server, public: Path) -> socket.socket:
    """A client that has asked for the big file, and been sent as much of it as fits without its doing."""
    client = connect(server.port)
    client.sendall(GET_BIG)
    assert client.recv(8) == b"HTTP/1.1"
    time.sleep(0.05)
    assert len(open_files(public)) == 1
    return client


@pytest.mark.usefixtures("by", "endless")
def test_a_client_that_takes_nothing_is_left(public: Path, serve: Callable[..., Server], said: Any) -> None:
    server = serve(static("/", public), write_timeout=0.1, access_log=True, logger=said)
    with stuck(server, public), ExitStack() as stack:
        until(lambda: not open_files(public) and not server.service.connections)  # type: ignore[union-attr]
        until(lambda: "client takes nothing" in said.told())
        # Its descriptors are used again by those who come now: nothing of it may be left in the loop.
        others = [stack.enter_context(client_of(server.port)) for _ in range(5)]
        for _ in range(3):
            assert [fetch(other, "/text.txt") for other in others] == [TEXT] * 5


@pytest.mark.usefixtures("endless")
def test_a_client_that_takes_little_by_little_is_not(public: Path, serve: Callable[..., Server]) -> None:
    server = serve(static("/", public), write_timeout=0.3)
    with stuck(server, public) as client:
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            for _ in range(5):
                client.recv(100_000)
            time.sleep(0.02)
        assert len(open_files(public)) == 1
    until(lambda: not open_files(public))


@pytest.mark.usefixtures("by", "endless")
@pytest.mark.parametrize("end", ["reset", "closed"])
def test_a_client_that_leaves_takes_the_file_with_it(
    public: Path, serve: Callable[..., Server], end: str, said: Any
) -> None:
    server = serve(static("/", public), access_log=True, logger=said)
    with stuck(server, public) as client:
        if end == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: not open_files(public))
    until(lambda: "GET /big.bin \u2192 client left" in said.told())
    with client_of(server.port) as other:
        assert fetch(other, "/text.txt") == TEXT


@pytest.mark.usefixtures("by", "endless")
def test_a_big_file_that_shrinks_meanwhile(public: Path, serve: Callable[..., Server]) -> None:
    with stuck(serve(static("/", public)), public) as client:
        os.truncate(public / "big.bin", 1000)
        with pytest.raises(ConnectionResetError):
            everything(client)


def test_a_server_that_stops_sends_what_it_has_begun(
    public: Path, endless: int, serve: Callable[..., Server]
) -> None:
    server = serve(static("/", public), drain_timeout=0.02)
    with stuck(server, public) as client:
        server.stop()
        assert len(everything(client)) > endless


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
@pytest.mark.parametrize(("what", "number"), [((os, "sendfile"), 22), ((socket, "fromfd"), 24)])
def test_where_the_kernel_will_not_it_is_read(
    public: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, what: Any, number: int
) -> None:
    """A file system that cannot do it; no descriptor to spare."""
    calls = []

    def refuse(*_: Any) -> Any:
        calls.append(1)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*what, refuse)
    data = big(public)
    with client_of(serve(static("/", public)).port) as client:
        assert fetch(client, "/big.bin") == data
    assert calls


def test_over_tls_the_kernel_does_not_write(
    public: Path,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    def write(*_: Any) -> int:
        raise AssertionError("past the encryption")

    monkeypatch.setattr(os, "sendfile", write, raising=False)
    pem = request.getfixturevalue("pems")
    data = big(public)
    server = serve(static("/", public), certfile=pem / "cert.pem", keyfile=pem / "key.pem")
    trust = ssl.create_default_context(cafile=pem / "cert.pem")
    with closing(http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=trust)) as client:
        assert fetch(client, "/big.bin") == data
        assert fetch(client, "/text.txt") == TEXT

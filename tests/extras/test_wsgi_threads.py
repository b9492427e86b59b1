"""WSGI apps in worker threads, over sockets, on each loop: streams both ways, and clients that leave."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any
from wsgiref.validate import validator

import pytest

from kissapi import Router, Server
from kissapi.extras.wsgi import from_wsgi
from tests.peer import ask, client_of, connect, get, read_all, reset, talk, until
from tests.serving import THREE, make, running

PLAIN = [("Content-Type", "text/plain")]
App = Callable[[dict[str, Any], Any], Iterable[bytes]]


@pytest.fixture(params=THREE)
def loop(request: Any) -> str:
    return str(request.param)


def serving(loop: str, app: App, *, buffer: int = 64 * 1024, **options: Any) -> Server:
    router = Router()
    router["/"] = from_wsgi(app, buffer=buffer)
    return make(loop, router, **options)


def test_one_thread_and_one_context_from_the_call_to_close(loop: str) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="")
    threads: list[set[int]] = []

    class Pieces:
        def __init__(self, path: str) -> None:
            self.token = variable.set(path)
            self.threads = {threading.get_ident()}
            self.path = path

        def __iter__(self) -> Iterator[bytes]:
            for _ in range(5):
                self.threads.add(threading.get_ident())
                yield variable.get().encode()

        def close(self) -> None:
            self.threads.add(threading.get_ident())
            variable.reset(self.token)  # a ValueError in another context
            threads.append(self.threads)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert not variable.get()
        start_response("200 OK", PLAIN)
        return Pieces(environ["PATH_INFO"])

    with running(serving(loop, app)) as server:
        assert get(server.port, "/a") == (200, b"/a" * 5)
        assert get(server.port, "/b") == (200, b"/b" * 5)
        until(lambda: len(threads) == 2)
    assert [len(each) for each in threads] == [1, 1]
    assert threading.get_ident() not in threads[0]


def test_a_piece_goes_out_while_the_next_is_made(loop: str) -> None:
    go_on = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"first"
        assert go_on.wait(10)
        yield b"second"

    with running(serving(loop, app)) as server:
        sock = connect(server.port)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = b""
        while b"first" not in got:
            got += sock.recv(1000)
        go_on.set()
        assert b"second" in read_all(sock)


def test_a_slow_client_holds_up_the_app(loop: str) -> None:
    sent = [0]

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [*PLAIN, ("Content-Length", str(16 << 20))])
        for _ in range(256):
            sent[0] += 1
            yield bytes(1 << 16)

    with running(serving(loop, app)) as server:
        sock = connect(server.port, receive_buffer=4096)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        until(lambda: sent[0] > 2)
        while (before := sent[0]) != (threading.Event().wait(0.1), sent[0])[1]:
            assert before < 200
        assert len(read_all(sock)) > 16 << 20
    assert sent[0] == 256


def test_the_input_comes_as_it_is_read(loop: str) -> None:
    pieces: list[bytes] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert environ["HTTP_TRANSFER_ENCODING"] == "chunked"
        assert "CONTENT_LENGTH" not in environ
        while line := environ["wsgi.input"].readline():
            pieces.append(line)
        start_response("200 OK", PLAIN)
        return [b"%d" % len(pieces)]

    with running(serving(loop, app, buffer=0)) as server:
        sock = connect(server.port)
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(1, 4):
            sock.sendall(b"5\r\nline\n\r\n")
            until(lambda number=number: len(pieces) == number)  # type: ignore[misc]
        assert ask(sock, b"0\r\n\r\n").endswith(b"\r\n\r\n3")
        assert ask(sock, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


def test_a_stream_both_ways_is_as_the_validator_has_it(loop: str, capfd: pytest.CaptureFixture[str]) -> None:
    """`wsgiref.validate` asserts what PEP 3333 demands, of the server and of the app."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        while piece := environ["wsgi.input"].read(1000):
            yield piece.upper()
        print("the end", file=environ["wsgi.errors"])

    with running(serving(loop, validator(app), buffer=0)) as server:
        with client_of(server.port) as client:
            for body in (b"x" * 300_000, iter([b"x" * 10, b"y" * 100_000])):
                client.request("POST", "/a?b", body, encode_chunked=True)
                got = client.getresponse().read()
                assert len(got) > 100_000
                assert got == got.upper()
        sock = connect(server.port)  # a client that leaves: `close` is called then, too
        sock.sendall(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + bytes(100_000))
        assert sock.recv(10)
        reset(sock)
    gc.collect()
    told = "".join(capfd.readouterr())
    assert told.count("the end") == 2
    assert "AssertionError" not in told
    assert "garbage collected without being closed" not in told


def test_a_client_that_waits_for_a_word_gets_it_when_the_app_reads(loop: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/refused":
            start_response("403 Forbidden", PLAIN)
            return [b"no"]
        body = environ["wsgi.input"].read()
        start_response("200 OK", PLAIN)
        return [b"%d" % len(body)]

    head = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
    with running(serving(loop, app)) as server:
        assert talk(server.port, head % b"refused").startswith(b"HTTP/1.1 403")
        sock = connect(server.port)
        sock.sendall(head % b"")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert ask(sock, bytes(100_000)).endswith(b"\r\n\r\n100000")


def test_what_the_app_leaves_unread_is_dropped(loop: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [environ["wsgi.input"].read(3)]

    with running(serving(loop, app, buffer=10)) as server:
        sock = connect(server.port)
        for size in (5, 60_000):
            head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
            assert ask(sock, head + b"x" * size).endswith(b"\r\n\r\nxxx")


def test_a_body_that_does_not_come_whole_is_an_error_of_input(loop: str) -> None:
    errors: list[BaseException] = []
    begun = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            assert environ["wsgi.input"].read(1) == b"x"
            begun.set()
            environ["wsgi.input"].read()
        except OSError as error:
            errors.append(error)
        start_response("200 OK", PLAIN)
        return [b"what the client does not get"]

    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with running(serving(loop, app, buffer=0, max_body=1 << 20)) as server:
        assert talk(server.port, head, b"x" * 99_999, end=True).startswith(b"HTTP/1.1 400")
        assert talk(server.port, chunked, b"1\r\nx\r\n", b"200000\r\n").startswith(b"HTTP/1.1 413")
        begun.clear()
        errors.clear()
        sock = connect(server.port)
        sock.sendall(head + b"x")
        assert begun.wait(10)
        reset(sock)
        until(lambda: errors)


@pytest.mark.parametrize("end", [reset, lambda sock: sock.close()])
def test_the_app_ends_when_the_client_has_left(loop: str, end: Callable[[Any], None]) -> None:
    closed = threading.Event()
    begun = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        try:
            while True:
                yield bytes(1 << 16)
                begun.set()
        finally:
            closed.set()

    with running(serving(loop, app)) as server:
        sock = connect(server.port)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert begun.wait(10)
        end(sock)
        assert closed.wait(10)


def test_a_stop_waits_for_close(loop: str) -> None:
    go_on, closed = threading.Event(), threading.Event()

    class Pieces(list[bytes]):
        def close(self) -> None:
            assert go_on.wait(10)
            closed.set()

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return Pieces([b"done"])

    with running(serving(loop, app)) as server:
        assert get(server.port, "/") == (200, b"done")  # before `close`
        server.stop()
        threading.Timer(0.05, go_on.set).start()
    assert closed.is_set()

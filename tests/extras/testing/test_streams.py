"""Bodies in pieces, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from kissapi import HttpParser, Request, Router, sleep
from tests.extras.testing.app import Make, router, told

if TYPE_CHECKING:
    from kissapi.extras.testing import Client


def test_pieces_as_they_come(client: Client) -> None:
    start = client.loop.now
    with client.stream("GET", "/count") as answer:
        assert answer.status == 200
        assert client.loop.now == start
        for number, piece in enumerate(answer):
            assert piece == b"%d" % number
            assert client.loop.now == start + number
            if number == 3:
                break
        assert told == []
    assert told == ["closed"]  # for the client has left
    with pytest.raises(ConnectionResetError, match="GET /count"):
        answer.read()


def test_a_body_without_an_end_is_told_of(client: Client) -> None:
    with pytest.raises(
        TimeoutError, match=r"^GET /count: the body has not ended in 3600 s .* client\.stream"
    ):
        client.get("/count")
    assert told == ["closed"]


def test_others_may_be_asked_meanwhile(client: Client) -> None:
    with client.stream("GET", "/count") as answer:
        pieces = iter(answer)
        assert next(pieces) == b"0"
        assert client.get("/sleep/2").text == "slept"
        assert [next(pieces) for _ in range(3)] == [b"1", b"2", b"3"]


def test_a_client_that_does_not_read_is_waited_for(client: Client) -> None:
    with client.stream("GET", "/flood") as answer:
        client.wait(10)
        sent = len(told)
        assert 60 < sent < 140  # 64 KiB that were read with the head, and 64 KiB on their way
        client.wait(10)
        assert len(told) == sent
        size = 0
        for piece in answer:
            assert piece == b"x" * len(piece)
            size += len(piece)
            if size >= 200 * 1024:
                break
        assert len(told) >= 200


def test_an_answer_of_a_plain_generator(client: Client) -> None:
    assert client.get("/slices").text == "breadbutter"


def test_half_an_answer_is_an_error(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    with client.stream("GET", "/half") as answer:
        pieces = iter(answer)
        assert next(pieces) == b"half of it"
        with pytest.raises(ConnectionResetError, match=r"in the middle of the answer; see client\.log"):
            next(pieces)
    assert any("OSError: disk" in line for line in client.log)
    assert "OSError: disk" in capsys.readouterr().err


def test_a_body_in_pieces_goes_out_as_it_is_taken(client: Client) -> None:
    start = client.loop.now
    made: list[float] = []

    def pieces() -> Iterator[bytes]:
        for _ in range(6):
            made.append(client.loop.now - start)
            yield b"x" * (64 << 10)

    assert sum(client.post("/take", body=pieces()).json) == 6 * (64 << 10)
    assert made[-1] >= 4, "it was sent before it was wanted"


def test_time_may_pass_between_pieces(client: Client) -> None:
    def pieces() -> Iterator[bytes]:
        for size in (1, 2, 3):
            yield b"x" * size
            client.wait(10)

    assert client.post("/take", body=pieces()).json == [1, 2, 3]


def test_a_client_that_is_refused_need_not_send_it_all(client: Client) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * (64 << 10)

    assert client.post("/refuse", body=endless()).status == 403
    assert client.post("/echo", body=endless()).status == 413


def test_a_client_that_is_refused_sends_no_more_while_time_passes(client: Client) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with client.stream("POST", "/refuse", body=endless()) as answer:
        assert answer.status == 403
        client.wait(1)


@pytest.mark.parametrize(("seconds", "sent_after"), [(0, 0), (0.5, 0.5), (5, 1)])
def test_the_body_waits_a_second_for_100(make: Make, backend: str, seconds: float, sent_after: float) -> None:
    app = Router()

    @app.post("/", stream=True)
    async def later(req: Request) -> str:
        await sleep(seconds)
        return "".join([piece.decode() async for piece in req.stream()])

    def pieces() -> Iterator[str]:
        told.append(client.loop.now - start)
        yield "abc"

    client = make(app, backend)
    start = client.loop.now
    answer = client.post("/", body=pieces(), headers={"Expect": "100-continue"})
    assert answer.text == "abc"
    assert answer.informational == ([100] if seconds < 1 else [])
    assert told == [sent_after]
    with client.stream("POST", "/no", body=pieces(), headers={"Expect": "100-continue"}) as answer:
        assert answer.status == 404
        client.wait(5)
    assert told == [sent_after]


class OldParser(HttpParser):
    """A parser that takes every client for an HTTP/1.0 one: the end of the connection is that of the body."""

    def feed_data(self, data: bytes) -> None:
        request = self._request
        super().feed_data(data)
        request.http_version = "1.0"


def test_a_body_up_to_the_end_of_the_connection(make: Make, backend: str) -> None:
    client = make(router, backend, parser_class=OldParser)
    assert client.get("/slices").text == "breadbutter"
    with pytest.raises(ConnectionResetError):
        client.get("/half")
    with client.stream("GET", "/count") as answer:
        assert next(iter(answer)) == b"0"
    with pytest.raises(ConnectionResetError):
        answer.read()

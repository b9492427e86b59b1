"""Streams: what an async generator sends: framed by chunks, a length or the end; cut when it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, sleep
from kissapi.core import BUSY, IDLE, STREAMING
from tests.app import router
from tests.http.messages import GET, get, statuses
from tests.wire import Wire, exchange, parse_answers


def test_a_generator_streams_in_chunks_or_until_the_end(parser_class: Any) -> None:
    wire = Wire(router, parser_class).send(get("/stream") + GET)
    assert wire.connection.state is BUSY  # until the first piece is there
    assert wire.wait(0.0015).connection.state is STREAMING
    answers = parse_answers(wire.wait(1).received)
    assert [body for _, _, body in answers] == [b"0 1 2 ", b"Hello, world!"]
    wire = (
        Wire(router, parser_class).send(get("/stream", "Connection: keep-alive", version="1.0") + GET).wait(1)
    )
    [(_, fields, body)] = parse_answers(wire.received)
    assert body == b"0 1 2 "
    assert fields["connection"] == "close"
    assert "transfer-encoding" not in fields
    assert wire.closed


def test_a_stream_that_fails_is_cut_never_a_second_head() -> None:
    own = Router()

    @own.get("/")
    async def broken(req: Request) -> Any:
        yield "some"
        raise ZeroDivisionError

    wire = Wire(own).send(GET).wait(1)
    assert wire.transport.aborted
    assert wire.received.count(b"HTTP/1.1") == 1
    assert not wire.received.endswith(b"0\r\n\r\n")
    assert any("ZeroDivisionError" in line for line in wire.lines)


def test_what_a_generator_raises_before_its_first_piece_is_answered_in_full(parser_class: Any) -> None:
    own = Router()

    @own.get("/")
    async def refuses(req: Request) -> Any:
        await sleep(1)
        raise Fail(403, "no")
        yield ""

    wire = Wire(own, parser_class).send(GET + GET).wait(3)
    assert statuses(wire.received) == [403, 403]
    assert not wire.closed


def test_head_of_a_stream_is_framed_as_its_version_allows() -> None:
    closed = []

    class Pieces:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> str:
            raise StopIteration

        def close(self) -> None:
            closed.append(1)

    own = Router()

    @own.get("/{status:int}")
    async def stream(req: Request) -> Response:
        return Response(Pieces(), req.params["status"])

    for version, status, field in (("1.1", 200, "chunked"), ("1.0", 200, None), ("1.1", 204, None)):
        data = exchange(own, get(f"/{status}", method="HEAD", version=version))
        [(_, fields, _)] = parse_answers(data, ["HEAD"])
        assert fields.get("transfer-encoding") == field
    assert len(closed) == 3


def test_a_stream_waits_for_its_reader_and_ends_with_it() -> None:
    made, ended = [], []
    own = Router()

    @own.get("/")
    async def endless(req: Request) -> Any:
        try:
            while True:
                made.append(1)
                yield "x" * 1000
        finally:
            ended.append(1)

    wire = Wire(own, room=5000).send(GET)
    assert len(made) < 70  # 64 KiB, and the client has not taken them
    wire.wait(1)
    assert len(made) < 70
    wire.take(70_000)
    assert 70 < len(made) < 140
    wire.lose()
    assert ended == [1]


def sized(length: str, *pieces: str) -> Router:
    router = Router()

    @router.get("/")
    async def handler(req: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            for piece in pieces:
                yield piece

        return Response(body(), headers={"Content-Length": length})

    return router


def wire_of(router: Router, *fields: str, **options: str) -> Wire:
    return Wire(router).send(get("/", *fields, **options)).wait(5)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_stream_with_a_length_is_not_chunked(version: str) -> None:
    field = ("Connection: keep-alive",) if version == "1.0" else ()
    wire = wire_of(sized("4", "ab", "cd"), *field, version=version)
    ((status, fields, body),) = parse_answers(wire.received)
    assert (status, fields["content-length"], body) == (200, "4", b"abcd")
    assert wire.connection.state is IDLE


def test_head_has_the_length_of_the_stream() -> None:
    ((status, fields, _),) = parse_answers(wire_of(sized("4", "ab"), method="HEAD").received, ["HEAD"])
    assert (status, fields["content-length"]) == (200, "4")
    assert "transfer-encoding" not in fields


@pytest.mark.parametrize("pieces", [("ab",), ("ab", "cde")])
def test_a_stream_that_breaks_its_word_is_cut(pieces: tuple[str, ...]) -> None:
    wire = wire_of(sized("4", *pieces))
    assert wire.received.endswith(b"\r\n\r\nab")
    assert wire.transport.aborted
    assert any("RuntimeError" in line for line in wire.lines)


@pytest.mark.parametrize("router", [sized("4"), sized("1", "ab"), sized("x", "ab"), sized("-1")])
def test_a_stream_that_breaks_its_word_at_once_is_a_500(router: Router) -> None:
    assert statuses(wire_of(router).received) == [500]


def test_a_handler_of_head_may_know_the_length() -> None:
    router = Router()

    @router.head("/")
    async def handler(req: Request) -> Response:
        return Response(None, headers={"Content-Length": "123"})

    ((status, fields, _),) = parse_answers(wire_of(router, method="HEAD").received, ["HEAD"])
    assert (status, fields["content-length"]) == (200, "123")

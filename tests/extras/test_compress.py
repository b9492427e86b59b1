"""Compress: which answers are compressed, with what, and that what arrives is what was sent."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Response, Router, sleep
from kissapi.extras.compress import LARGE, _coders, compress
from kissapi.extras.etag import etag
from kissapi.extras.files import file
from kissapi.extras.sse import sse
from kissapi.extras.testing import Client
from tests.peer import client_of, connect, read_all
from tests.serving import THREE, make, running
from tests.wire import exchange, fetch, parse_answers

TEXT = "All work and no play makes Jack a dull boy. " * 100


def zstd() -> Any:
    try:
        return import_module("compression.zstd")
    except ImportError:
        return import_module("backports.zstd")


HAVE = list(_coders({}))  # what is installed here


def unpack(coding: str, data: bytes) -> bytes:
    if coding == "gzip":
        return zlib.decompress(data, 31)
    if coding == "br":
        import brotli

        return bytes(brotli.decompress(data))
    return bytes(zstd().decompress(data))


def app(**options: Any) -> Router:
    router = Router()
    router.around(compress(**options))
    return router


def serving(result: Any, **options: Any) -> Router:
    router = app(**options)

    @router.get("/")
    async def handler(req: Request) -> Any:
        return result() if callable(result) else result

    return router


def ask(
    router: Router, accept: str = "gzip", *fields: str, **options: Any
) -> tuple[int, dict[str, str], bytes]:
    return fetch(router, "/", f"Accept-Encoding: {accept}", *fields, **options)


@pytest.mark.parametrize("coding", HAVE)
@pytest.mark.parametrize("size", [1024, 4000, LARGE, LARGE + 1, 300_000])
def test_what_arrives_is_what_was_sent(coding: str, size: int, parser_class: Any) -> None:
    text = (TEXT * 100)[:size]
    status, fields, body = ask(serving(text), coding, parser_class=parser_class)
    assert (status, unpack(coding, body)) == (200, text.encode())
    assert len(body) < size / 4
    assert fields["content-encoding"] == coding
    assert fields["content-length"] == str(len(body))
    assert fields["vary"] == "Accept-Encoding"
    assert fields["content-type"] == "text/plain"


@pytest.mark.parametrize("coding", HAVE)
def test_large_bodies_in_a_thread(coding: str, serve: Any) -> None:
    server = serve(serving(TEXT * 1000))
    with client_of(server.port) as client:
        client.request("GET", "/", headers={"Accept-Encoding": coding})
        answer = client.getresponse()
        assert unpack(coding, answer.read()) == (TEXT * 1000).encode()


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("*", "zstd"),
        ("br;q=0.5, gzip", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("identity", None),
        ("", None),
        ("gzip;q=0", None),
        ("*;q=0", None),
        ("deflate", None),
    ],
)
def test_the_client_chooses(accept: str, coding: str | None) -> None:
    if coding in ("br", "zstd") and not {"br", "zstd"} <= set(HAVE):
        pytest.skip("brotli or backports.zstd is not installed")
    _, fields, body = ask(serving(TEXT), accept)
    assert fields.get("content-encoding") == coding
    assert (unpack(coding, body) if coding else body) == TEXT.encode()
    assert fields["vary"] == "Accept-Encoding"  # whatever this client gets


def test_a_client_that_takes_nothing_else_gets_small_answers_compressed() -> None:
    for accept in ("gzip, identity;q=0", "gzip, *;q=0"):
        _, fields, body = ask(serving("tiny"), accept)
        assert (fields["content-encoding"], unpack("gzip", body)) == ("gzip", b"tiny")
    assert (
        ask(serving("tiny"), "identity;q=0")[2] == b"tiny"
    )  # there is nothing it takes: better than nothing


@pytest.mark.parametrize(
    "response",
    [
        Response(TEXT[:1023]),
        Response(TEXT, content_type="image/png"),
        Response(TEXT, content_type="video/text"),
        Response(TEXT, headers={"content-encoding": "br"}),
        Response(TEXT, headers={"content-digest": "sha-256=:x:"}),
        Response(TEXT, headers={"cache-control": "public, No-Transform"}),
        Response(TEXT, headers={"set-cookie": "a=b"}),
        Response(TEXT, 206, {"content-range": "bytes 0-4399/9999"}),
        Response(TEXT, 204),
        Response(TEXT, 205),
    ],
)
def test_what_is_left_as_it_is(response: Response) -> None:
    plain = Router()

    @plain.get("/")
    async def handler(req: Request) -> Response:
        return response

    expected = ask(plain)
    status, fields, body = ask(serving(response))
    assert (status, body) == (expected[0], expected[2])
    fields.pop("date"), expected[1].pop("date")
    assert fields == expected[1]


def test_types_and_their_parameters() -> None:
    for kind, fits in {
        "application/json; charset=utf-8": True,
        "application/problem+json": True,
        "image/svg+xml": True,
        "TEXT/HTML": True,
        "application/jsonp": False,
        "application/pdf": False,
        "x-text/html": False,
    }.items():
        _, fields, _ = ask(serving(Response(TEXT, content_type=kind)))
        assert ("content-encoding" in fields) is fits, kind
        assert fields["content-type"] == kind
    assert "vary" in ask(serving(Response(TEXT, content_type="a/b"), types=["a/*"]))[1]
    assert "vary" not in ask(serving(TEXT, types=["a/*"]))[1]


def test_what_does_not_get_shorter_is_sent_as_it_is() -> None:
    import random

    noise = random.Random(7).randbytes(3000)
    _, fields, body = ask(serving(Response(noise, content_type="text/plain")))
    assert body == noise
    assert "content-encoding" not in fields
    assert fields["vary"] == "Accept-Encoding"


def test_errors_are_answers() -> None:
    router = app()
    status, fields, body = ask(router, "gzip, *;q=0")
    assert (status, unpack(fields["content-encoding"], body)) == (404, b"Not Found")


def test_a_tag_becomes_weak_and_ranges_go() -> None:
    made = Response(
        TEXT, headers={"etag": '"a"', "accept-ranges": "bytes", "vary": "Origin, accept-language"}
    )
    _, fields, _ = ask(serving(made))
    assert (fields["etag"], fields["vary"]) == ('W/"a"', "Origin, accept-language, Accept-Encoding")
    assert "accept-ranges" not in fields
    assert made.headers["etag"] == '"a"'  # an app may return it again
    assert ask(serving(made), "identity")[1]["etag"] == '"a"'


def test_head_is_as_get(parser_class: Any) -> None:
    for result in (TEXT, lambda: iter([TEXT])):
        router = serving(result)
        _, got, _ = ask(router, parser_class=parser_class)
        status, fields, body = ask(router, method="HEAD", parser_class=parser_class)
        got.pop("date"), fields.pop("date")
        assert (status, body, fields) == (200, b"", got)


def pieces() -> Iterator[str]:
    yield "a" * 50
    yield ""
    yield "b" * 2 * LARGE
    yield "c"


async def async_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece.encode()


@pytest.mark.parametrize("coding", HAVE)
@pytest.mark.parametrize("make", [pieces, async_pieces])
def test_streams(coding: str, make: Any, parser_class: Any) -> None:
    _, fields, body = ask(serving(make), coding, parser_class=parser_class)
    assert fields["transfer-encoding"] == "chunked"
    assert fields["content-encoding"] == coding
    assert unpack(coding, body) == "".join(pieces()).encode()


def test_a_stream_that_has_told_its_length() -> None:
    router = serving(lambda: Response(iter([TEXT]), headers={"content-length": str(len(TEXT))}))
    _, fields, body = ask(router)
    assert (body, fields.get("vary"), fields["content-length"]) == (TEXT.encode(), None, str(len(TEXT)))


@pytest.mark.parametrize("coding", HAVE)
def test_each_event_arrives_at_once(coding: str, backend: str) -> None:
    router = app()
    ended: list[str] = []

    async def ticks() -> AsyncIterator[str]:
        try:
            yield "one"
            await sleep(60)
            yield "two"
            await sleep(3600)
        finally:
            ended.append("yes")

    @router.get("/")
    async def events(req: Request) -> Response:
        return sse(ticks(), heartbeat=10)

    client = Client(router, backend)
    begun = client.clock.time()
    with client.stream("GET", "/", headers={"accept-encoding": coding}) as answer:
        assert answer.headers["content-encoding"] == coding
        unpacker = unpacker_of(coding)
        seen = b""
        stream = iter(answer)
        while b"data: two" not in seen:
            seen += unpacker(next(stream))
            if seen == b"data: one\n\n":
                assert client.clock.time() < begun + 1  # flushed: it has not waited for the next one
    assert seen == b"data: one\n\n" + b":\n\n" * seen.count(b":\n\n") + b"data: two\n\n"
    assert seen.count(b":\n\n") >= 4
    client.wait(1)
    assert ended == ["yes"]
    assert not client.log or "ERROR" not in "".join(client.log)


@pytest.mark.parametrize("kind", THREE)
def test_events_end_whole_when_the_server_stops(kind: str) -> None:
    router = app()

    async def ticks() -> AsyncIterator[str]:
        yield "one"
        await sleep(3600)

    @router.get("/")
    async def events(req: Request) -> Response:
        return sse(ticks())

    with running(make(kind, router)) as server, connect(server.port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        received = b""
        while b"\r\n\r\n" not in received or received.endswith(b"\r\n\r\n"):
            received += client.recv(65536)
        server.stop()
        ((status, _, body),) = parse_answers(received + read_all(client))
    unpacker = zlib.decompressobj(31)
    assert (status, unpacker.decompress(body), unpacker.eof) == (200, b"data: one\n\n", True)


def test_a_websocket_is_left_alone() -> None:
    router = app(minimum=0)

    @router.websocket("/")
    async def echo(ws: Any) -> None:
        await ws.send(TEXT)

    with Client(router).websocket("/", headers={"accept-encoding": "gzip"}) as ws:
        assert ws.receive() == TEXT


def unpacker_of(coding: str) -> Any:
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    if coding == "br":
        import brotli

        return brotli.Decompressor().process
    return zstd().ZstdDecompressor().decompress


@pytest.mark.parametrize("coding", HAVE)
def test_each_piece_can_be_read_when_it_comes(coding: str) -> None:
    router = app()

    @router.get("/")
    async def handler(req: Request) -> AsyncIterator[str]:
        for word in ("one", "two", "three"):
            yield word
            await sleep(60)

    client = Client(router)
    unpacker = unpacker_of(coding)
    with client.stream("GET", "/", headers={"accept-encoding": coding}) as answer:
        words = [unpacker(piece) for piece in answer]
    assert words[:3] == [b"one", b"two", b"three"]


def test_a_stream_whose_client_leaves_is_closed() -> None:
    router = app()
    ended: list[str] = []

    @router.get("/")
    async def handler(req: Request) -> AsyncIterator[str]:
        try:
            while True:
                yield "tick"
                await sleep(1)
        finally:
            ended.append("yes")

    client = Client(router)
    with client.stream("GET", "/", headers={"accept-encoding": "gzip"}) as answer:
        next(iter(answer))
    client.wait(2)
    assert ended == ["yes"]


def test_a_stream_that_fails_is_cut() -> None:
    router = app()

    @router.get("/")
    async def handler(req: Request) -> AsyncIterator[str]:
        yield "tick"
        await sleep(1)
        raise KeyError("x")

    with pytest.raises(ConnectionResetError):
        Client(router).get("/", headers={"accept-encoding": "gzip"})


def test_http_1_0_gets_a_stream_to_the_end_of_the_connection() -> None:
    data = exchange(serving(lambda: iter([TEXT])), b"GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert unpack("gzip", body) == TEXT.encode()


def test_files(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text(TEXT)
    (tmp_path / "large.txt").write_text(TEXT * 50)
    router = app()

    @router.get("/{name}")
    def handler(req: Request) -> Response:
        return file(tmp_path / req.params["name"])

    gzip = "Accept-Encoding: gzip"
    _, plain, _ = fetch(router, "/small.txt")
    _, fields, body = fetch(router, "/small.txt", gzip)
    assert unpack("gzip", body) == TEXT.encode()
    assert fields["etag"] == f"W/{plain['etag']}"
    assert plain["vary"] == fields["vary"] == "Accept-Encoding"
    status, known, _ = fetch(router, "/small.txt", gzip, f"If-None-Match: {fields['etag']}")
    assert (status, known["etag"], known["vary"]) == (304, fields["etag"], "Accept-Encoding")
    status, known, _ = fetch(router, "/small.txt", f"If-None-Match: {plain['etag']}")
    assert (status, known["etag"]) == (304, plain["etag"])
    status, part, body = fetch(router, "/small.txt", gzip, "Range: bytes=4-7")
    assert (status, body, part["etag"]) == (206, TEXT[4:8].encode(), plain["etag"])
    status, head, _ = fetch(router, "/small.txt", gzip, method="HEAD")
    assert (head["etag"], head["vary"]) == (fields["etag"], "Accept-Encoding")
    assert "content-length" not in head
    _, large, body = fetch(router, "/large.txt", gzip)  # a large one goes from the disk to the socket
    assert body == (TEXT * 50).encode()
    assert "vary" not in large


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("coding", ["identity", *HAVE])
def test_in_both_orders_with_etag(outer: bool, coding: str) -> None:
    router = Router()
    for hook in (etag(), compress()) if outer else (compress(), etag()):
        router.around(hook)

    @router.get("/")
    async def handler(req: Request) -> str:
        return TEXT

    _, fields, body = ask(router, coding)
    assert (body if coding == "identity" else unpack(coding, body)) == TEXT.encode()
    status, known, body = ask(router, coding, f"If-None-Match: {fields['etag']}")
    assert (status, body, known["etag"]) == (304, b"", fields["etag"])
    assert known["vary"] == fields["vary"]
    assert not {"content-encoding", "content-length", "content-type"} & known.keys()
    tags = {ask(router, each)[1]["etag"] for each in ("identity", *HAVE)}
    assert len(tags) == (len(HAVE) + 1 if outer else 2)


def test_skip_is_an_option() -> None:
    made = Response(TEXT, headers={"set-cookie": "a=b"})
    assert "content-encoding" in ask(serving(made, skip=lambda req, response: False))[1]
    assert "content-encoding" not in ask(serving(TEXT, skip=lambda req, response: req.path == "/"))[1]


def test_compress_in_compress() -> None:
    router = serving(TEXT)
    router.around(compress())
    assert unpack("gzip", ask(router)[2]) == TEXT.encode()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"levels": {"deflate": 6}}, ValueError, "gzip, br and zstd, not 'deflate'"),
        ({"levels": {"gzip": 11}}, ValueError, "11 is no level of gzip"),
        ({"levels": {"zstd": 22}}, ValueError, "22 is no level of zstd: 1 to 19"),
        ({"types": "text/html"}, TypeError, r"\['text/html'\]"),
    ],
)
def test_mistakes(options: Any, error: type[Exception], words: str) -> None:
    if "zstd" in str(options) and "zstd" not in HAVE:
        pytest.skip("backports.zstd is not installed")
    with pytest.raises(error, match=words):
        compress(**options)


def test_levels_turn_codings_off(monkeypatch: pytest.MonkeyPatch) -> None:
    router = serving(TEXT, levels={"zstd": None, "br": None, "gzip": 1})
    assert ask(router, "gzip, br, zstd")[1]["content-encoding"] == "gzip"
    monkeypatch.setitem(__import__("sys").modules, "brotli", None)
    assert "br" not in ask(serving(TEXT), "br")[1].get("content-encoding", "")
    with pytest.raises(ImportError, match=r"pip install 'kissapi\[compress\]'"):
        compress(levels={"br": 5})

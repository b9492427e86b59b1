"""Every chunked body says the same whole, byte by byte, in random pieces, and with other bytes behind it."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from kissapi.http.chunked import Chunked, ChunkedError, whole_chunk

END = b"0\r\n\r\n"
LONG = b"x" * 70_000

# (what comes in, the body, the trailers)
GOOD = [
    (END, b"", []),
    (b"5\r\nhello\r\n" + END, b"hello", []),
    (b"5\r\nhello\r\n6\r\n world\r\n" + END, b"hello world", []),
    (b"a\r\n0123456789\r\n" + END, b"0123456789", []),
    (b"A\r\n0123456789\r\n" + END, b"0123456789", []),
    (b"1a\r\n" + b"x" * 26 + b"\r\n" + END, b"x" * 26, []),
    (b"2\r\n\r\n\r\n" + END, b"\r\n", []),
    (b"%x\r\n%s\r\n" % (len(LONG), LONG) + END, LONG, []),
    (b"0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", b"hello", []),
    (b"5;a\r\nhello\r\n0;b\r\n\r\n", b"hello", []),
    (b"5;a=b;c\r\nhello\r\n" + END, b"hello", []),
    (b'5;a="";b=" ;\\"\\\\\t\x80\r\n'.replace(b"\r\n", b'"\r\n') + b"hello\r\n" + END, b"hello", []),
    (b'5 ;a\r\nhello\r\n0\t ; a = b ;c\t=\t"d" ; e\r\n\r\n', b"hello", []),
    (
        b"0\r\nContent-Length: 1\r\nTRANSFER-ENCODING:x\r\n\r\n",
        b"",
        [(b"Content-Length", b"1"), (b"TRANSFER-ENCODING", b"x")],
    ),
    (b"5;" + b"a" * 4092 + b"\r\nhello\r\n" + END, b"hello", []),
    (b"0\r\nA: b\r\n\r\n", b"", [(b"A", b"b")]),
    (b"0\r\nA:b \t\r\na:\r\nC: \t \r\n\r\n", b"", [(b"A", b"b"), (b"a", b""), (b"C", b"")]),
    (b"0\r\nA: b: c\x80\td\r\n\r\n", b"", [(b"A", b"b: c\x80\td")]),
    (b"0\r\nContent-Lengths: 1\r\nContent: 2\r\n\r\n", b"", [(b"Content-Lengths", b"1"), (b"Content", b"2")]),
    (b"0\r\n" + b"A: b\r\n" * 100 + b"\r\n", b"", [(b"A", b"b")] * 100),
    (b"0\r\nA:" + b"b" * 8186 + b"\r\n\r\n", b"", [(b"A", b"b" * 8186)]),
]

# What is refused, at its last byte and not before.
BAD = [
    b"\r", b"\n", b" ", b";", b"g", b"+", b"-", b"_", b"0x", b"5 \r", b"5\t\r", b"5 5", b"5_", b"5\n",
    b"5\rh", b"5\r\r", b"5\x00", b"\xb2", b"0" * 17, b"f" * 17,
    b"5; \r", b"5;;", b"5; ;", b"5;=", b"5;a b", b"5;a \r", b"5;a=;", b"5;a=\r", b"5;a= \r", b"5;a = =",
    b"5;a=b c", b"5;a==", b'5;a=b"', b'5;"', b"5;a=b=",
    b"5;\r", b"5;a\n", b"5;a\r;", b"5;a\x80", b'5;a="\r', b'5;a="\n', b'5;a="\x7f', b'5;a="\\\r', b'5;a="b"c',
    b'5;a="b" c', b'5;a="b" \r', b"5;a=\x00",
    b"5;" + b"a" * 4095, b'5;a="' + b" " * 4092, b"5;a\r\nhello\r\n5;" + b"a" * 4095,
    b"5\r\nhello\n", b"5\r\nhello!", b"5\r\nhello0", b"5\r\nhello\rh", b"5\r\nhello\r\n\r",
    b"0\r\n\n", b"0\r\n\rA", b"0\r\n:", b"0\r\n ", b"0\r\n\t", b"0\r\nA ", b"0\r\nA\r", b"0\r\nA\n",
    b"0\r\nA\x80", b"0\r\n(", b"0\r\nA: b\n", b"0\r\nA: b\rc", b"0\r\nA: \x00", b"0\r\nA: \x7f",
    b"0\r\nA: b\r\n ", b"0\r\nA: b\r\n\t", b"0\r\nA: b\r\n\n",
    b"0\r\nA: " + b"b" * 8190, b"0\r\n" + b"A: " + b"b" * 100 + b"\r\nB: " + b"b" * 8085,
    b"0\r\n" + b"A:\r\n" * 101,
]  # fmt: skip


def splits(data: bytes) -> list[list[bytes]]:
    dice = random.Random(data[:100])
    ways = [[data], [data[:-1], data[-1:]], [data[:1], data[1:]]]
    if len(data) < 20_000:
        ways.append([data[i : i + 1] for i in range(len(data))])
    for _ in range(4):
        cuts = sorted(dice.choices(range(len(data) + 1), k=dice.randint(1, 6)))
        ways.append([data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])
    return ways


@pytest.mark.parametrize(
    "data", [b"5 ", b"5\t", b"5; ", b"5;a ", b"5;a= ", b'5;a="b" ', b"0\r\nContent-Length:"]
)
def test_blanks_and_trailers_that_llhttp_refuses_are_taken(data: bytes) -> None:
    for pieces in splits(data):
        _, chunked, unread = read(pieces)
        assert (chunked.finished, unread) == (False, b"")


def read(pieces: list[bytes]) -> tuple[bytes, Chunked, bytes]:
    """The body, its reader, and all that came behind it."""
    chunked, body = Chunked(), b""
    for index, piece in enumerate(pieces):
        if chunked.finished:
            return body, chunked, chunked.unread + b"".join(pieces[index:])
        body += b"".join(chunked.feed(piece))
    return body, chunked, chunked.unread


@pytest.mark.parametrize(("data", "body", "trailers"), GOOD)
@pytest.mark.parametrize("behind", [b"", b"0", b"\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_good(data: bytes, body: bytes, trailers: list[tuple[bytes, bytes]], behind: bytes) -> None:
    for pieces in splits(data + behind):
        actual, chunked, unread = read(pieces)
        assert actual == body
        assert (chunked.finished, chunked.trailers, chunked.declared) == (True, trailers, len(body))
        assert unread == behind


@pytest.mark.parametrize(("data", "body", "trailers"), GOOD)
def test_the_short_way_reads_the_same_or_nothing(data: bytes, body: bytes, trailers: list[Any]) -> None:
    for behind in (b"", b"0", b"\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        assert whole_chunk(data + behind) in (None, (body, behind))
    for length in range(0, len(data), 1 + len(data) // 200):
        assert whole_chunk(data[:length]) is None
    assert whole_chunk(data, len(body) - 1) is None


@pytest.mark.parametrize("at", [1, 3, 4, 5, 6, 7])
def test_the_short_way_takes_one_chunk(at: int) -> None:
    data, body, _ = GOOD[at]
    assert whole_chunk(data + b"GET", len(body)) == (body, b"GET")


@pytest.mark.parametrize("data", [data for data, _, _ in GOOD])
def test_an_unfinished_body_is_no_error(data: bytes) -> None:
    for length in range(0, len(data), 1 + len(data) // 200):
        _, chunked, _ = read([data[:length]])
        assert (chunked.finished, chunked.unread) == (False, b"")


@pytest.mark.parametrize("data", BAD)
def test_bad(data: bytes) -> None:
    """Refused at the first byte that cannot be, whatever is to follow."""
    for pieces in splits(data):
        with pytest.raises(ChunkedError):
            read(pieces)
    with pytest.raises(ChunkedError):
        read([data + END])
    assert whole_chunk(data + END) is None
    _, chunked, _ = read([data[:-1]])
    assert not chunked.finished


def test_declared_before_it_is_read() -> None:
    chunked = Chunked()
    assert chunked.feed(b"5\r\nhello\r\nffffffff\r\n") == [b"hello"]
    assert chunked.declared == 5 + 0xFFFFFFFF
    assert chunked.feed(b"x") == [b"x"]


def test_a_body_over_its_size_is_refused_when_it_is_announced() -> None:
    for data in (b"3\r\nabc\r\n3\r\n", b"3\r\nabc\r\n3\r\nab, and then an error"):
        chunked = Chunked(max_size=5)
        with pytest.raises(ChunkedError, match="too many bytes in the body"):
            chunked.feed(data)
        assert chunked.declared == 6
    assert Chunked(max_size=5).feed(b"5\r\nhello") == [b"hello"]


def test_pieces_are_handed_out_as_they_come() -> None:
    chunked = Chunked()
    assert [chunked.feed(piece) for piece in (b"8\r\nab", b"c", b"def", b"gh\r\n1\r\ni")] == [
        [b"ab"],
        [b"c"],
        [b"def"],
        [b"gh", b"i"],
    ]


def test_bounds_are_settable() -> None:
    assert Chunked(max_line=5).feed(b"1;a\r\nx") == [b"x"]
    assert Chunked(max_line=3).feed(b"1\r\nx") == [b"x"]
    for chunked, wrong in (
        (Chunked(max_line=4), b"1;a\r\n"),
        (Chunked(max_line=2), b"1\r\n"),
        (Chunked(max_line=0), b"1"),
    ):
        with pytest.raises(ChunkedError, match="too many bytes in a chunk's size line"):
            chunked.feed(wrong)
    small = Chunked(max_trailer=6)
    small.feed(b"0\r\nA:\r\n\r\n")
    assert small.finished
    with pytest.raises(ChunkedError, match="too many bytes in a trailer"):
        Chunked(max_trailer=5).feed(b"0\r\nA:\r\n\r\n")


def test_the_error_says_where() -> None:
    for data, where in (
        (b"5  5", "a chunk's size line"),
        (b"0\r\nA ", "a trailer"),
        (b"1\r\nxy", "the end of a chunk"),
    ):
        with pytest.raises(ChunkedError, match=f"unexpected byte b'[ y5]' in {where}"):
            Chunked().feed(data)


def seconds(pieces: list[bytes]) -> float:
    best = 9.0
    for _ in range(3):
        chunked = Chunked()
        started = time.thread_time()
        for piece in pieces:
            chunked.feed(piece)
        best = min(best, time.thread_time() - started)
    return best


GROWING = [
    lambda size: [b"1\r\nx\r\n" * (size // 6)],
    lambda size: [bytes([byte]) for byte in b"5;a=b\r\nhello\r\n" * (size // 28)],
    lambda size: [b"%x\r\n" % (16 * size), *[b"x" * 16] * size],
    lambda size: [b"%x\r\n" % size + b"x" * size + b"\r\n"] * 8,
]


@pytest.mark.parametrize("growing", GROWING)
def test_time_is_linear(growing: Any) -> None:
    """Eight times the bytes: eight times the time if linear, 64 times if not."""
    assert seconds(growing(64 << 10)) < 25 * seconds(growing(8 << 10)) + 0.005

"""Grammar: requests from a seed: well-formed ones, then a few bytes changed, or a case of tests/conformance.

A seed gives the same bytes on every Python and every machine.
"""

from __future__ import annotations

import random
from itertools import pairwise

from tests.conformance import TOPICS

SEEDS = [case.data for cases in TOPICS.values() for case in cases if len(case.data) < 3000]

# fmt: off
# The good ones many times, or hardly a message would be taken.
METHODS = [b"GET"] * 30 + [b"POST"] * 30 + [b"HEAD", b"PUT"] * 6 + [
    b"OPTIONS", b"DELETE", b"PURGE", b"CONNECT", b"TRACE", b"PRI", b"DESCRIBE", b"SOURCE", b"get", b"BREW",
    b"G@T", b"",
]
TARGETS = [b"/"] * 20 + [b"/a", b"/a?b=c", b"http://b/x", b"/%41"] * 6 + [
    b"/%41%2f", b"/a//b", b"//", b"*", b"HTTP://b:80?q", b"/?[|]", b"/[", b"https://[::1]/", b"a:80",
    b"/%zz", b"/%00",
    b"/#", b"/?a%zz", b"/\xc3\xa9", b"http://u@b/", b"",
    b"/longer-than-sixty-bytes-longer-than-sixty-bytes-longer",
]
VERSIONS = [b"HTTP/1.1"] * 60 + [b"HTTP/1.0"] * 8 + [b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"http/1.1", b""]
HOSTS = [b"Host: a"] * 60 + [
    b"Host: [::1]:80", b"Host:b", b"HOST: c:81 ", b"Host:", b"Host: a,b", b"X: y", b"Host: a\r\nHost: a",
]
FIELDS = [
    b"Accept: */*", b"X: a", b"x:\tb \t", b"X:", b"X: \xe9", b"Cookie: a=1", b"Cookie: b=2",
    b"User-Agent: x/1 (y)",
    b"Connection: keep-alive", b"Connection: close", b"Connection: x,\tClose", b"Connection: Upgrade",
    b"Connection:", b"Connection: keep-alive, Upgrade", b"Upgrade: h2c", b"Upgrade:",
    b"Proxy-Connection: close",
    b"Proxy-Connection: keep-alive", b"Keep-Alive: 5", b"Expect: 100-continue", b"Expect: x", b"Expect:",
    b"TE: trailers", b"Trailer: X", b"Content_Length: 9", b"Content-Type: text/plain",
]
BAD_FIELDS = [
    b"X : a", b" X: a", b"X", b": a", b"X: a\x00", b"X: a\rb", b"X: a\nY: b", b"X: a\r\n b", b"X\xff: a",
    b"X: \x7f",
]
LENGTHS = [b"Content-Length: %d"] * 50 + [
    b"content-length:\t%d \t", b"Content-Length: 0%d", b"Content-Length: +%d", b"Content-Length: %d, 5",
    b"Content-Length: %d\r\nContent-Length: 5", b"Content-Length: 9%d",
    b"Content-Length: 1844674407370955161%d",
    b"Content-Length: %dx", b"Content-Length : %d", b"Content-Length: %d\r\nTransfer-Encoding: chunked",
]
CODINGS = [b"Transfer-Encoding: chunked"] * 50 + [
    b"transfer-encoding:Chunked ", b"Transfer-Encoding: chunked\t", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: ,chunked", b"Transfer-Encoding: chunked,", b"Transfer-Encoding: identity",
    b"Transfer-Encoding:", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: x;a=b , chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 0",
]
EXTENSIONS = [b""] * 70 + [b";a", b";a=b"] * 6 + [
    b' ; a = "b;\\""', b";", b";;a", b" ", b";a=", b'="x"', b";a=\x00",
]
TRAILERS = [b""] * 25 + [
    b"X: a\r\n", b"Content-Length: 5\r\n", b"transfer-encoding: x\r\n", b"X : a\r\n",
    b"Connection: close\r\n",
]
WORDS = [
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"=", b'"', b"\x00", b"\xff", b"0",
    b"1",
    b"5", b"a", b"chunked", b"close", b"Content-Length", b"Transfer-Encoding", b"Host: a\r\n", b"HTTP/1.1",
    b"/", b"%",
    b"0\r\n\r\n", b"5\r\nhello\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"Connection: close\r\n",
    b"Upgrade: x\r\n", b"\x0b", b"\x7f", b"#", b"?",
]
# fmt: on


def text(dice: random.Random) -> bytes:
    return dice.choice(
        (b"x", b"hello", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n", b"\r\n", b"\x00\xff" * dice.randint(1, 9))
    )


def chunked(dice: random.Random) -> bytes:
    parts = []
    for _ in range(dice.randint(0, 3)):
        data = text(dice)
        size = dice.choice((b"%x", b"%x", b"%X", b"0%x", b"00000000000000%x")) % len(data)
        parts.append(size + dice.choice(EXTENSIONS) + b"\r\n" + data + b"\r\n")
    return b"".join(parts) + b"0" + dice.choice(EXTENSIONS) + b"\r\n" + dice.choice(TRAILERS) + b"\r\n"


def message(dice: random.Random) -> bytes:
    """A request, more likely a good one than not."""
    line = b" ".join((dice.choice(METHODS), dice.choice(TARGETS), dice.choice(VERSIONS)))
    fields = dice.choices(FIELDS, k=dice.choice((0, 0, 1, 2, 4)))
    if dice.random() < 0.05:
        fields.append(dice.choice(BAD_FIELDS))
    body = b""
    framing = dice.random()
    if framing < 0.3:
        body = text(dice)
        fields.append(dice.choice(LENGTHS).replace(b"%d", b"%d" % len(body)))
    elif framing < 0.6:
        body = chunked(dice)
        fields.append(dice.choice(CODINGS))
    fields.append(dice.choice(HOSTS))
    dice.shuffle(fields)
    blank = dice.choice((b"",) * 40 + (b"\r\n", b"\r\n\r\n", b"\n"))
    return blank + b"\r\n".join((line, *fields, b"", b"")) + body


def mutate(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = dice.randint(0, len(changed))
        kind = dice.random()
        if kind < 0.3:
            changed[at:at] = dice.choice(WORDS)
        elif kind < 0.5:
            del changed[at : at + dice.choice((1, 1, 2, 8))]
        elif kind < 0.7:
            changed[at : at + 1] = dice.choice(WORDS)
        elif kind < 0.85:
            changed[at : at + 1] = bytes([dice.randrange(256)])
        else:
            start = dice.randint(0, len(changed))
            changed[at:at] = changed[start : start + dice.randint(1, 20)]
    return bytes(changed)


def stream(dice: random.Random) -> bytes:
    """What one client sends."""
    if dice.random() < 0.25:
        data = dice.choice(SEEDS) + (dice.choice(SEEDS) if dice.random() < 0.3 else b"")
        return mutate(dice, data) if dice.random() < 0.9 else data
    data = b"".join(message(dice) for _ in range(dice.choice((1, 1, 2, 3))))
    return mutate(dice, data) if dice.random() < 0.3 else data


def pieces(dice: random.Random, data: bytes) -> list[bytes]:
    """`data`, cut anywhere; now and then byte by byte."""
    if dice.random() < 0.1:
        return [data[index : index + 1] for index in range(len(data))]
    ends = [0, *sorted(dice.choices(range(len(data) + 1), k=dice.randint(1, 6))), len(data)]
    return [data[start:end] for start, end in pairwise(ends) if start < end]

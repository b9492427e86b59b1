"""Heads: the fast road must see what is there, and the careful road must read the same.

This needs nothing installed, for regular expressions differ by CPython (`usual_head` says how), and
each that is found is asked, with httptools or without.

    python -m tests.fuzz.heads heads=3000 seed=1     the same ones each time
    python -m tests.fuzz.heads seconds=60            for so long, from a random seed
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from typing import Any, NamedTuple

import kissapi.http.parser
from kissapi import HttpParser, Request
from kissapi.http.framing import framing_fields
from kissapi.http.pure import PureHttpParser
from kissapi.http.request_line import PATH_BYTES, QUERY_BYTES
from kissapi.http.usual_head import usual_head
from tests.fuzz.grammar import pieces, stream
from tests.fuzz.reading import Outcome, read

module: Any = kissapi.http.parser
END = b"\r\n\r\n"
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
TEXT = frozenset([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
UPPER = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-")
# The ends of the names that frame; with any of these first letters the fast road leaves them to the other.
FIRST = b"cChHtTeE"
REST = (b"ost", b"ontent-length", b"ransfer-encoding", b"xpect", b"onnection")

# fmt: off
# What follows a field matters most: names without a value, framing names in a wrong place, an end too soon.
LINES = [b"GET / HTTP/1.1"] * 30 + [
    b"POST /a?b=c HTTP/1.1", b"PUT /? HTTP/1.1", b"M-SEARCH /a/b HTTP/1.1", b"GET /a?? HTTP/1.1",
    b"get / HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.0", b"GET a HTTP/1.1", b"GET /%41 HTTP/1.1",
    b"GET / HTTP/1.1 ", b"GET /a b HTTP/1.1", b"GET /?a#b HTTP/1.1", b"GET /\xe9 HTTP/1.1", b"GET /", b"",
]
NAMES = [b"Accept", b"Cookie", b"X", b"TE", b"Content-Type", b"Connectio", b"Host-Name", b"e", b"C"] * 4 + [
    b"Expect", b"Connection", b"Transfer-Encoding", b"Content-Length", b"content-length", b"Host", b"host",
    b"hOST", b"Cost", b"Tost", b"Xost", b"", b"X ", b"\xe9", b"\r", b"\n", b"X\r\nY",
]
SEPARATORS = [b": "] * 30 + [b":"] * 10 + [b":\t", b":  ", b"::", b" : ", b""]
VALUES = [b"a", b"", b"keep-alive", b"close", b"gzip, br", b"caf\xc3\xa9", b"*/*"] * 6 + [
    b"0", b"5", b"12", b"00", b"05", b"999999999999999999", b"9999999999999999999", b"+1", b"1, 1",
    b"chunked",
    b"keep-alive, close", b"keep-alive ", b"5 ", b"5\t", b"a\r\n b", b"a\x00", b"a\rb", b"a\nb", b"\x7f",
    b"\r\n", b"\r\n\r\n",
]
HOSTS = [b"Host: a"] * 20 + [b"host: a:80"] * 5 + [
    b"Host: ", b"Host:a", b"HOST: a", b"Host: a b", b"Host: a\t", b"X: y", b"Host: a\r\nHost: a",
]
LENGTHS = [b"Content-Length: 5"] * 10 + [
    b"content-length: 0", b"Content-length: 40", b"content-Length: 12", b"CONTENT-LENGTH: 5",
    b"Content-Length:5", b"Content-Length: 05", b"Content-Length: 5\r\nContent-Length: 5",
]
CLOSES = [b"Connection: close"] * 10 + [
    b"connection: close", b"Connection:close", b"Connection: Close", b"Connection: close ",
    b"CONNECTION: close", b"Connection: close\r\nConnection: close",
    b"Connection: close\r\nConnection: keep-alive",
]
BEHIND = [
    b"", b"hello", b"\r\n", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
    b"Content-Length: 40\r\n\r\n\r\nGET /victim HTTP/1.1\r\nHost: a\r\nX: 1234\r\n\r\n",
    b"\r\n\r\n\r\n" + b"x" * 54 + b"GET /victim HTTP/1.1\r\nHost: a\r\n\r\n",
]
# fmt: on


def head(dice: random.Random) -> bytes:
    """A head, more likely a usual one than not, and what comes behind it."""
    fields = [
        dice.choice(NAMES) + dice.choice(SEPARATORS) + dice.choice(VALUES)
        if dice.random() < 0.3
        else dice.choice(NAMES[:36]) + b": a"
        for _ in range(dice.choice((0, 0, 1, 2, 3, 5)))
    ]
    fields.insert(dice.randint(0, len(fields)), dice.choice(HOSTS))
    for share, lines in ((0.4, LENGTHS), (0.2, CLOSES)):
        if dice.random() < share:
            fields.insert(dice.randint(0, len(fields)), dice.choice(lines))
    return (
        b"\r\n".join((dice.choice(LINES), *fields))
        + dice.choice((END,) * 9 + (b"\r\n",))
        + dice.choice(BEHIND)
    )


class Seen(NamedTuple):
    """What `kissapi.http.usual_head.usual_head` says of a head: its seven groups, and where it ends."""

    method: bytes
    path: bytes
    query: bytes | None
    host: bytes
    length: bytes | None
    coding: bytes | None
    close: bytes | None
    end: int


def see(data: bytes) -> Seen | None:
    """What the fast road must see in `data`, without a regular expression."""
    head, end, _ = data.partition(END)
    line, *fields = head.split(b"\r\n")
    words = line.split(b" ")
    if not end or len(words) != 3:
        return None
    method, target, version = words
    path, mark, query = target.partition(b"?")
    if not method or not UPPER.issuperset(method) or version != b"HTTP/1.1":
        return None
    if not path.startswith(b"/") or path.translate(None, PATH_BYTES) or query.translate(None, QUERY_BYTES):
        return None
    host = length = coding = close = None
    for field in fields:
        name, colon, value = field.partition(b":")
        if not name or not colon or not TOKEN.issuperset(name) or not TEXT.issuperset(value):
            return None
        blank, said = value[:1], value[1:]
        rest = name[1:].lower()
        if name[0] not in FIRST or rest not in REST or (rest == b"onnection" and value == b" keep-alive"):
            continue
        spelled = name[:1].lower() + name[1:]
        framed = any(found is not None for found in (length, coding, close))
        if spelled == b"host" and host is None and not framed and blank == b" ":
            if any(not 0x21 <= byte <= 0x7E for byte in said):
                return None
            host = said
        elif spelled == b"connection" and value == b" close":
            if host is None or framed:
                return None
            close = said
        elif spelled[:8] + spelled[8:9].lower() + spelled[9:] == b"content-length":
            if host is None or framed or blank != b" " or not said.isdigit() or len(said) > 18:
                return None
            if said != b"0" and said.startswith(b"0"):
                return None
            length = said
        elif spelled[:9] + spelled[9:10].lower() + spelled[10:] == b"transfer-encoding":
            if host is None or framed or value != b" chunked":
                return None
            coding = said
        else:
            return None
    return (
        Seen(method, path, query if mark else None, host, length, coding, close, len(head + END))
        if host is not None
        else None
    )


def fields_of(data: bytes) -> dict[bytes, Any]:
    """What `kissapi.http.framing.framing_fields` must find in a head, without a regular expression."""
    grouped: dict[bytes, list[bytes]] = {}
    for line in data.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if colon and name in (b"host", b"connection", b"content-length", b"transfer-encoding", b"expect"):
            grouped.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in grouped.items()}


def careful(parser_class: Any, chunks: list[bytes]) -> Outcome:
    """What comes of `chunks` where the fast road is closed."""
    module.usual_head = lambda data: None
    try:
        return read(parser_class, chunks)[0]
    finally:
        module.usual_head = usual_head


def differ(data: bytes, dice: random.Random) -> str:
    """Where the roads part on `data`; nothing if they do not."""
    found = usual_head(data)
    seen = Seen._make((*found.groups(), found.end())) if found else None
    if seen != see(data):
        return f"the fast road sees {seen}, there is {see(data)}"
    if found and framing_fields(found[0]) != fields_of(found[0]):
        return f"{framing_fields(found[0])} are found to frame, there are {fields_of(found[0])}"
    expected = careful(HttpParser, [data])
    for parser_class in (HttpParser, PureHttpParser):
        for chunks in ([data], pieces(dice, data)):
            fast, slow = read(parser_class, chunks)[0], careful(parser_class, chunks)
            if fast != expected or slow != expected:
                return f"{parser_class.__name__} in {chunks}: fast {fast}, careful {slow}, whole {expected}"
    return ""


def takes_the_fast_road(data: bytes) -> bool:
    """Whether a parser reads `data` at one look, and asks neither httptools nor its stand-in."""
    asked: list[object] = []

    class Library:
        HttpParserUpgrade = HttpParserError = Exception

        @staticmethod
        def HttpRequestParser(protocol: object) -> Any:  # noqa: N802
            asked.append(protocol)
            return PureHttpParser.library.HttpRequestParser(protocol)

    class Watched(HttpParser):
        library = Library

    watched = Watched(request := Request())
    watched.feed_data(data)
    return not asked and bool(watched.finished) and request.method == "GET"


def main() -> int:
    options = dict(argument.split("=") for argument in sys.argv[1:])
    first = int(options.get("seed") or random.SystemRandom().randrange(1 << 40))
    most = float(options.get("heads", "inf"))
    over = time.monotonic() + float(options.get("seconds", "inf" if "heads" in options else "5"))
    count = usual = failed = 0
    for seed in itertools.count(first):
        if count >= most or time.monotonic() >= over:
            break
        count += 1
        dice = random.Random(seed)
        data = head(dice) if dice.random() < 0.8 else stream(dice)
        usual += usual_head(data) is not None
        if difference := differ(data, dice):
            failed += 1
            print(f"heads: DIFFERENCE, again by: heads=1 seed={seed}\nheads: {data!r}\nheads: {difference}")
    library = "httptools" if HttpParser.library is not PureHttpParser.library else "its stand-in"
    print(
        f"heads: CPython {sys.version.split()[0]} with {library}: {count} from seed {first}, "
        f"{usual} on the fast road, {failed} failed"
    )
    if usual < count / 5:
        print("heads: too few on the fast road to prove anything")
        return 1
    if not takes_the_fast_road(b"GET / HTTP/1.1\r\nHost: localhost:8000\r\n\r\n"):
        print("heads: a usual GET is not on the fast road")
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

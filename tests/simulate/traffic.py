"""Traffic: what a client says, and what it may expect to hear.

Offsets count the bytes of one client from the first it ever sent.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.conformance import TOPICS
from tests.simulate.app import pieces

WHOLE, CUT, NEVER = "whole", "cut", "never"
BLANK = 4  # bytes of empty lines before a case: half of one may be refused, or waited for in vain

CASES = [case for cases in TOPICS.values() for case in cases if case.answers and len(case.data) < 3000]


class Expected(NamedTuple):
    """One answer."""

    start: int  # of the request that it answers
    head: int  # the end of its head
    end: int
    status: int
    body: bytes | None = None  # None: any
    bodyless: bool = False
    close: bool = False  # it says that it is the last
    fate: str = WHOLE
    number: int = -1
    interim: bool = False  # a 100 may come first
    exact: bool = True  # it comes only when all of the request is there

    def moved(self, by: int) -> Expected:
        return self._replace(start=self.start + by, head=self.head + by, end=self.end + by)


class Item(NamedTuple):
    """Some bytes, most of the time one request."""

    name: str
    data: bytes
    answers: tuple[Expected, ...]
    cut: bool = False  # the client ends its side behind them


# name: (status, body or None for any, weight)
PLAIN = {
    "now": (200, b"%d", 12), "offload": (200, b"%d", 3), "table": (200, b'{"number":%d}', 2),
    "refuses": (403, b"%d", 3), "raises": (500, None, 3), "raiseslate": (500, None, 2),
    "exits": (500, None, 1), "endsitself": (500, None, 1), "cancels": (500, None, 2),
    "cancelsitself": (500, None, 3), "stubborn": (200, b"%d", 3), "tidy": (200, b"%d", 3),
    "odd": (500, None, 2), "nothing": (204, b"", 2), "last": (200, b"%d", 1), "never": (200, b"", 1),
    "def": (200, b"%d", 5), "defraises": (500, None, 2), "hooked/before": (403, b"%d", 1),
    "hooked/after": (500, None, 1), "hooked/none": (200, b"%d", 1),
}  # fmt: skip
SIZED = {"slow": 10, "turns": 5, "big": 10, "echo": 10}
STREAMS = {"": 8, "raises": 2, "cancels": 1, "odd": 1}


def item(dice: random.Random, number: int) -> Item:
    """What is said next, by request `number`."""
    kind = dice.random()
    if kind < 0.1:
        return from_case(dice)
    if kind < 0.55:
        name = dice.choices(list(PLAIN), [weight for _, _, weight in PLAIN.values()])[0]
        status, pattern, _ = PLAIN[name]
        body = None if pattern is None else pattern % number if b"%" in pattern else pattern
        fate = NEVER if name == "never" else WHOLE
        return request(dice, f"/{name}/{number}", number, status, body, closes=name == "last", fate=fate)
    if kind < 0.85:
        name = dice.choices(list(SIZED), list(SIZED.values()))[0]
        if name == "echo":
            return post(dice, number)
        body = b"%d" % number
        size = dice.choice((1, 30, 400, 3000))
        if name == "big":
            size = dice.choice((10, 1000, 20_000, 70_000, 200_000))
            body += b" " + b"x" * size
        return request(dice, f"/{name}/{number}/{size}", number, 200, body)
    name = dice.choices(list(STREAMS), list(STREAMS.values()))[0]
    fate = CUT if name else WHOLE
    maker = dice.choice(("stream", "stream", "lines"))
    count, size, ms = (
        dice.randint(0, 6),
        dice.choice((0, 10, 5000, 30_000)),
        dice.choice((0, 0, 1, 1, 300, 300, 30_000)),
    )
    path = f"/{maker}{name}/{number}/{count}/{size}/{ms}"
    whole = b"".join(pieces(number, count, size))
    if fate is CUT and not count:  # no piece, so the head is not out yet
        return request(dice, path, number, 500, None, fate=WHOLE, streams=True)
    return request(dice, path, number, 200, whole, fate=fate, streams=True)


def request(
    dice: random.Random,
    path: str,
    number: int,
    status: int,
    body: bytes | None,
    *,
    closes: bool = False,
    fate: str = WHOLE,
    streams: bool = False,
) -> Item:
    """A GET or HEAD without a body of its own."""
    method = dice.choice(("GET",) * 7 + ("HEAD",))
    version, field = dice.choice(
        (("1.1", ""),) * 30 + (("1.1", "close"), ("1.1", "x, keep-alive"), ("1.0", ""), ("1.0", "keep-alive"))
    )
    bodyless = method == "HEAD"
    closes = closes or field == "close" or (version == "1.0" and not field)
    if streams and not bodyless and version == "1.0" and status == 200:  # else the head was not made yet
        closes = True
    lines = [
        f"{method} {path} HTTP/{version}",
        "Host: a",
        *([f"Connection: {field}"] if field else []),
        "",
        "",
    ]
    data = "\r\n".join(lines).encode()
    if bodyless and streams:
        status, fate = 200, WHOLE  # nobody asks for a piece
    answer = Expected(
        0, len(data), len(data), status, b"" if bodyless else body, bodyless, closes, fate, number
    )
    return Item(f"{method} {path} {version} {field}", data, (answer,))


def post(dice: random.Random, number: int) -> Item:
    """A POST, sized or in chunks."""
    body = b"y" * dice.choice((0, 1, 10, 100, 1000, 6000))
    expects = body != b"" and dice.random() < 0.2
    head = f"POST /echo/{number} HTTP/1.1\r\nHost: a\r\n" + "Expect: 100-continue\r\n" * expects
    if dice.random() < 0.5:
        head += f"Content-Length: {len(body)}\r\n\r\n"
        coded = body
    else:
        head += "Transfer-Encoding: chunked\r\n\r\n"
        size = dice.choice((1000, 7, 6000)) if len(body) < 1000 else 1000
        parts = [body[index : index + size] for index in range(0, len(body), size)]
        coded = b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nX: y\r\n\r\n"
    data = head.encode() + coded
    answer = Expected(0, len(head), len(data), 200, b"%d " % number + body, number=number, interim=expects)
    return Item(f"POST /echo/{number} {len(body)} bytes", data, (answer,))


def from_case(dice: random.Random) -> Item:
    """A case of tests/conformance: odd requests, and bad ones."""
    case = dice.choice(CASES)
    finals = [answer for answer in case.answers if answer != 100]
    size = len(case.data)
    interim = b"xpect" in case.data
    answers = []
    for index, answer in enumerate(finals):
        last = index == len(finals) - 1
        end = size + 1 if last and case.cut else size  # a cut one is never complete
        # Empty lines begin no request, but a third of them does.
        start = min(BLANK, len(case.data) - len(case.data.lstrip(b"\r\n")))
        plain = Expected(
            start, size, end, 0, bodyless=False, close=last and case.closes, interim=interim, exact=False
        )
        if isinstance(answer, int):
            answers.append(plain._replace(status=answer))
        elif answer.startswith("HEAD "):
            word = answer.removeprefix("HEAD ")
            status = int(word) if word.isdigit() else 200
            answers.append(plain._replace(status=status, bodyless=True))
        else:
            answers.append(plain._replace(status=200, body=answer.encode()))
    return Item(f"case: {case.why}", case.data, tuple(answers), case.cut)

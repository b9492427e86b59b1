"""Floods: requests that are small to send and may be dear to read. Bounded, and 400 where it is too much."""

from __future__ import annotations

import time

from tests.peer import ask
from tests.torture.client import connect, get, post, status
from tests.torture.scale import MIB, Scale
from tests.torture.victim import Victim

ANY = (200, 400, 413, 414, 431)


def many(number: int) -> bytes:
    return b"&".join(b"k%d=v" % key for key in range(number))


def floods_of(size: int) -> dict[str, tuple[bytes, tuple[int, ...]]]:
    """What is sent, and the statuses that will do; the large ones of `size` bytes."""
    return {
        "1,000 parameters": (post("/form", many(1000)), (200,)),
        "1,001 parameters": (post("/form", many(1001)), (400,)),
        "10,000 parameters in a form": (post("/form", many(10_000)), (400,)),
        "10,000 parameters in a query": (get("/query?" + many(10_000).decode()), (414,)),
        "2,000 short ones in a query": (get("/query?" + "a&" * 2000), (400,)),
        "3,000 empty ones in a query": (get("/query?" + "&" * 3000), (400,)),
        "a form of nothing but &": (post("/form", b"&" * size), (400,)),
        "a form of %41": (post("/form", b"a=" + b"%41" * (size // 3)), ANY),
        "a form of %": (post("/form", b"%" * size), ANY),
        "one name a thousand times": (post("/form", b"&".join([b"a=b"] * 1000)), (200,)),
        "JSON 100,000 deep": (post("/json", b"[" * 100_000), (400,)),
        "JSON as deep as it is long": (post("/json", b"[" * size), (400,)),
        "JSON as deep as it is long, of objects": (post("/json", b'{"a":' * (size // 5)), (400,)),
        "JSON 100,000 deep and whole": (post("/json", b"[" * 100_000 + b"]" * 100_000), (400,)),
        "a JSON number of a million digits": (post("/json", b"1" * 1_000_000), (400,)),
        "a JSON float of a million digits": (post("/json", b"1." + b"1" * 1_000_000), ANY),
        "a JSON exponent": (post("/json", b"1e999999999"), ANY),
        "JSON of many keys": (
            post("/json", b"{%b}" % b",".join(b'"k%d":1' % n for n in range(size // 12))),
            ANY,
        ),
        "60 KiB of cookies": (
            post("/cookies", b"").replace(b"Host", b"Cookie: " + b"a=b;" * 15_000 + b"\r\nHost"),
            ANY,
        ),
        "100 equal fields": (get("/").replace(b"Host", b"X: y\r\n" * 99 + b"Host"), (200,)),
        "101 fields": (get("/").replace(b"Host", b"X: y\r\n" * 100 + b"Host"), (431,)),
        "8,000 segments": (get("/" * 8000), (404,)),
        "a path of escapes": (get("/" + "%41" * 2600), (404,)),
    }


def floods(backend: str, scale: Scale) -> str:
    every = floods_of(scale.flood)
    with Victim(backend) as victim:
        with connect(victim.port) as sock:
            ask(sock, post("/json", b"{}"))
            ask(sock, post("/form", many(1000)))
        base = victim.memory()
        slowest, dearest = (0.0, ""), (0, "")
        seen: dict[int, int] = {}
        for name, (question, due) in every.items():
            victim.forget_peak()
            with connect(victim.port) as sock:
                start = time.monotonic()
                code = status(ask(sock, question))
                took = time.monotonic() - start
            grown = victim.peak() - base
            assert code in due, f"{name}: {code}, not {due}"
            seen[code] = seen.get(code, 0) + 1
            slowest = max(slowest, (took, name))
            dearest = max(dearest, (grown, name))
            assert took < 3, f"{name}: {took:.1f} s"
            assert grown < 128 * MIB, f"{name}: {grown / MIB:.0f} MiB"
        with connect(victim.port) as sock:
            assert status(ask(sock)) == 200
    answers = ", ".join(f"{code} {number} times" for code, number in sorted(seen.items()))
    return (
        f"{len(every)} shapes: {answers}; the slowest {slowest[0] * 1000:.0f} ms ({slowest[1]}), "
        f"the dearest {dearest[0] / MIB:.0f} MiB ({dearest[1]})"
    )

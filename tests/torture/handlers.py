"""Handlers: whatever one does, its client gets one clean answer or a cut, and all others are served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.peer import ask, read_all
from tests.torture.app import RAISED, RESULTS
from tests.torture.client import connect, get, status
from tests.torture.victim import Victim

if TYPE_CHECKING:
    from tests.torture.scale import Scale

WRONG = [
    *(f"/raise/{kind}" for kind in RAISED),
    *(f"/raise/{kind}/later" for kind in RAISED),
    *(f"/raise/{kind}/thread" for kind in RAISED),
    *(f"/hooked/{kind}" for kind in RAISED),
    *(f"/returns/{kind}" for kind in RESULTS),
    "/recursion",
    "/suicide",
]
MIDWAY = [f"/midway/{kind}/{what}" for kind in ("sync", "async") for what in RAISED] + ["/midway/async/piece"]


def handlers(backend: str, scale: Scale) -> str:
    problems = []
    with Victim(backend) as victim, connect(victim.port) as witness:
        for path in WRONG:
            try:
                with connect(victim.port, seconds=2) as sock:
                    answer = ask(sock, get(path))
                    assert status(answer) == 500, answer
                    assert answer.endswith(b"\r\n\r\nInternal Server Error"), answer
                    assert status(ask(sock)) == 200, "the connection goes on"
                assert status(ask(witness)) == 200
            except (AssertionError, OSError) as error:
                problems.append(f"{path}: {error!r}")
        for path in MIDWAY:
            try:
                with connect(victim.port, seconds=2) as sock:
                    sock.sendall(get(path))
                    answer = b""
                    try:
                        while piece := sock.recv(65536):
                            answer += piece
                    except ConnectionResetError:
                        pass
                    assert answer.count(b"HTTP/1.1") <= 1, "a second head"
                    assert not answer.endswith(b"0\r\n\r\n"), "half a body passes for a whole one"
                with connect(
                    victim.port, seconds=2
                ) as sock:  # where only a reset tells the end from a failure
                    sock.sendall(get(path).replace(b"HTTP/1.1", b"HTTP/1.0"))
                    try:
                        answer = read_all(sock)
                        raise AssertionError(f"half a body passes for a whole one: {answer!r}")
                    except ConnectionResetError:
                        pass
                assert status(ask(witness)) == 200
            except (AssertionError, OSError) as error:
                problems.append(f"{path}: {error!r}")
        assert victim.process.poll() is None, "it has ended"
    assert not problems, "\n  ".join(["", *problems])
    lines = len(re.findall(r"\[ERROR\]", victim.output))
    assert lines >= len(WRONG) + len(MIDWAY), f"{lines} error lines"
    return (
        f"{len(WRONG)} wrong handlers, hooks and results: 500 each, and the connection goes on; "
        f"{2 * len(MIDWAY)} generators that fail midway: cut each; {lines} error lines"
    )

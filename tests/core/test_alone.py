"""The core runs by itself: copied into an empty folder, it serves two protocols on two loops."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parent.parent / "kissapi" / "core"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the core, and two files that serve it."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copytree(CORE, folder / "kissapi" / "core", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("protocols.py", "loops.py"):
        shutil.copy(HERE / name, folder)
    return folder


def serve(folder: Path, loop: str, protocol: str, packets: list[bytes]) -> tuple[bytes, list[str]]:
    """What a client gets that says `packets` and ends its side; and what the seams were told."""
    done = subprocess.run(
        [sys.executable, "-S", "-W", "error", "loops.py", loop, protocol],
        cwd=folder,
        input="\n".join(packet.hex() for packet in packets).encode(),
        capture_output=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    got, _, told = done.stdout.partition(b"\n--\n")
    return got, told.decode().split("\n")


HOST = b" HTTP/1.1\r\nHost: a\r\n"
LINES = b"hello\nadd 2 3\nadd x\nwait\nhello\nfail\nwrong\nnowhere\nhooked\nsorry\n"
REPLIES = (
    b"200 hello\n200 5\n200 hello\n200 waited\n200 hello\n403 no\n500 Internal Server Error\n"
    b"404 Not Found\n200 hello /hooked?\n500 sorry: KeyError\n"
)


@pytest.mark.parametrize("loop", ["asyncio", "small"])
@pytest.mark.parametrize("cut", [len(LINES), 1, 7], ids=["whole", "byte by byte", "by sevens"])
def test_lines(folder: Path, loop: str, cut: int) -> None:
    packets = [LINES[start : start + cut] for start in range(0, len(LINES), cut)]
    got, told = serve(folder, loop, "lines", packets)
    assert got == REPLIES
    assert told == ["opened", "report KeyError", "closed"]


@pytest.mark.parametrize("loop", ["asyncio", "small"])
def test_http(folder: Path, loop: str) -> None:
    said = b"".join(
        [
            b"GET /hello" + HOST + b"\r\n",
            b"POST /echo" + HOST + b"Content-Length: 3\r\n\r\nabc",
            b"GET /pieces" + HOST + b"\r\n",
            b"POST /hello" + HOST + b"\r\n",
            b"GET /add/1/2" + HOST + b"Connection: close\r\n\r\n",
            b"GET /hello" + HOST + b"\r\n",  # has no answer
        ]
    )
    wanted = (
        b"HTTP/1.1 200 -\r\nContent-Length: 5\r\n\r\nhello"
        b"HTTP/1.1 200 -\r\nContent-Length: 3\r\n\r\nabc"
        b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"
        b"HTTP/1.1 405 -\r\nContent-Length: 18\r\n\r\nMethod Not Allowed"
        b"HTTP/1.1 200 -\r\nContent-Length: 1\r\nConnection: close\r\n\r\n3"
    )
    for cut in (len(said), 11):
        packets = [said[start : start + cut] for start in range(0, len(said), cut)]
        assert serve(folder, loop, "http", packets) == (wanted, ["opened", "closed"])


@pytest.mark.parametrize("loop", ["asyncio", "small"])
def test_what_cannot_be_read_is_refused_in_its_turn(folder: Path, loop: str) -> None:
    got, _ = serve(
        folder, loop, "http", [b"GET /wait" + HOST + b"\r\nNONSENSE\r\n\r\nGET /hello" + HOST + b"\r\n"]
    )
    assert got == (
        b"HTTP/1.1 200 -\r\nContent-Length: 6\r\n\r\nwaited"
        b"HTTP/1.1 400 -\r\nContent-Length: 11\r\nConnection: close\r\n\r\nBad Request"
    )
    got, _ = serve(folder, loop, "lines", [b"x" * 101])
    assert got == b"413 a line may have 100 bytes\n"
    got, _ = serve(folder, loop, "lines", [b"hello\nhel"])
    assert got == b"200 hello\n400 Bad Request: the request ends before it is complete\n"


@pytest.mark.parametrize("loop", ["asyncio", "small"])
def test_half_an_answer_is_cut(folder: Path, loop: str) -> None:
    got, told = serve(folder, loop, "http", [b"GET /breaks" + HOST + b"\r\n"])
    assert got == b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    assert told == ["opened", "report ValueError", "cut /breaks", "closed"]


def test_it_imports_nothing_else_of_kissapi_and_no_loop() -> None:
    program = f"""
import sys, types
kissapi = types.ModuleType("kissapi")  # without what its __init__.py imports
kissapi.__path__ = [{str(CORE.parent)!r}]
sys.modules["kissapi"] = kissapi
before = set(sys.modules)
import kissapi.core
print(*(name for name in set(sys.modules) - before if not name.startswith("kissapi.core")))
"""
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert not {"asyncio", "selectors", "socket", "threading", "json", "http"} & set(done.stdout.split())
    assert not any(name.startswith("kissapi") for name in done.stdout.split())

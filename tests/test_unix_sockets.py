"""Unix sockets: paths and abstract names, permissions and who they keep out, what is told of a wrong path."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Router, Server
from kissapi.address import parse_address
from kissapi.flags import make_parser, read
from kissapi.log import Log
from tests.served import Served

if not hasattr(socket, "AF_UNIX"):
    pytest.skip("no Unix sockets here", allow_module_level=True)

ROOT = Path(__file__).parent.parent
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux'")


@pytest.fixture(params=["asyncio", "uvloop", "selectors"])
def loop(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of a server that runs on this loop."""
    if request.param == "uvloop":
        return {"loop_factory": pytest.importorskip("uvloop").new_event_loop}
    return {"backend": request.param}


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


class Lines(Log):
    """A log that keeps its lines."""

    kept: list[str]

    def _line(self, level: str, text: str) -> None:
        self.kept.append(f"{level} {text}")


@pytest.fixture
def lines() -> type[Lines]:
    return type("TheseLines", (Lines,), {"kept": []})


@contextmanager
def served(bind: str | list[str], loop: dict[str, Any], **options: Any) -> Iterator[Server]:
    server = Server(router=make_router(), bind=bind, access_log=False, **loop, **options)
    thread = threading.Thread(target=server.loop, daemon=True)
    thread.start()
    deadline = time.monotonic() + 5
    while server.service is None and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert server.service is not None
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def facts(req: Request) -> dict[str, Any]:
        return {"client": req.client, "pid": os.getpid()}

    return router


def ask(address: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(address)
        client.sendall(GET)
        data = b""
        while piece := client.recv(65536):
            data += piece
    return data.decode()


# Abstract names


def name() -> str:
    return f"kissapi-test-{os.getpid()}-{time.monotonic_ns()}"


@needs_linux
def test_a_name_with_an_at_sign_is_abstract(
    loop: dict[str, Any], lines: type[Lines], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    at = name()
    Path(f"@{at}").write_text("a file of this name is another thing")
    with served(["127.0.0.1:0", f"unix:@{at}"], loop, logger=lines, trusted_proxies="unix") as server:
        assert '"client": null' in ask(f"\0{at}")
        assert str(server.addresses[1]) == f"unix:@{at}"
        with pytest.raises(SystemExit, match=f"^kissapi: @{at} is in use: stop the program that listens"):
            Server(bind=f"unix:@{at}", **loop).loop()
    assert f"INFO Serving on unix:@{at} as well" in lines.kept
    assert not any("cannot connect" in line for line in lines.kept)
    assert os.listdir() == [f"@{at}"]
    with pytest.raises(ConnectionRefusedError):
        ask(f"\0{at}")


@needs_linux
def test_the_url_of_an_abstract_name(loop: dict[str, Any]) -> None:
    at = name()
    with served(f"unix:@{at}", loop) as server:
        assert server.url == f"http+unix:@{at}"
        assert "200 OK" in ask(f"\0{at}")


@needs_linux
def test_an_abstract_name_has_no_permissions(loop: dict[str, Any]) -> None:
    server = Server(bind=f"unix:@{name()}", unix_mode=0o660, **loop)
    with pytest.raises(SystemExit, match="is no file, so it has no permissions: all programs"):
        server.loop()


@needs_linux
@pytest.mark.parametrize("words", [["--loop=asyncio"], ["--loop=uvloop"], ["--backend=selectors"]])
def test_an_abstract_name_is_handed_to_a_successor(words: list[str], tmp_path: Path) -> None:
    if "--loop=uvloop" in words:
        pytest.importorskip("uvloop")
    at = name()
    (tmp_path / "app.py").write_text(
        "from tests.test_unix_sockets import make_router\nrouter = make_router()"
    )
    command = [sys.executable, "-m", "kissapi", "app:router", "-b127.0.0.1:0", f"-bunix:@{at}", *words]
    with Served(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}) as server:
        first = ask(f"\0{at}")
        os.kill(server.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + 10
        while ask(f"\0{at}")[-20:] == first[-20:]:
            assert time.monotonic() < deadline, "nothing took over"
            time.sleep(0.01)


# Paths that cannot be listened on


@pytest.mark.parametrize("text", ["unix:\0app", "unix:/run/a\0b", "unix:/run/a\nb"])
def test_no_path_has_a_nul(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"no NUL and no line break, as .* has; an abstract name is .*unix:@app"
    ):
        parse_address(text)
    with pytest.raises(ValueError, match="no NUL"):
        Server(bind=text)


@pytest.mark.parametrize("text", ["unix:", "unix://", "unix:@", "unix://@"])
def test_nothing_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"a Unix socket has a path: .* or an abstract name: unix:@app"):
        parse_address(text)


def test_a_link_to_nothing_is_called_so(loop: dict[str, Any], tmp_path: Path) -> None:
    link = tmp_path / "app.sock"
    link.symlink_to("gone.sock")
    with pytest.raises(SystemExit, match=r"app\.sock is a link to gone\.sock, which is not there: remove"):
        Server(bind=f"unix:{link}", **loop).loop()
    assert link.is_symlink()


def test_what_else_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for there in ("folder", "link"):
        with pytest.raises(SystemExit, match="is there, and no socket: remove it"):
            Server(bind=f"unix:{tmp_path / there}").loop()
    with pytest.raises(SystemExit, match=r"cannot listen on unix:.*: AF_UNIX path too long"):
        Server(bind=f"unix:{tmp_path}/{'a' * 200}").loop()
    with pytest.raises(SystemExit, match=r"cannot listen on unix:.*: No such file or directory"):
        Server(bind=f"unix:{tmp_path}/nowhere/app.sock").loop()


def test_a_descriptor_beyond_all_numbers() -> None:
    with pytest.raises(SystemExit, match=r"fd://9{30} is no socket that this process has"):
        Server(bind=f"fd://{'9' * 30}").loop()


# Permissions


@pytest.mark.parametrize(("mask", "mode", "told"), [(0o022, "755", True), (0, "777", False)])
def test_a_line_says_that_others_cannot_connect(
    loop: dict[str, Any],
    lines: type[Lines],
    tmp_path: Path,
    umask: Callable[[int], int],
    mask: int,
    mode: str,
    told: bool,
) -> None:
    umask(mask)
    path = tmp_path / "app.sock"
    with served(["127.0.0.1:0", f"unix:{path}"], loop, logger=lines):
        assert f"{stat.S_IMODE(path.stat().st_mode):o}" == mode
    said = [line for line in lines.kept if "cannot connect" in line]
    assert len(said) == told
    for line in said:
        assert line.startswith(f"INFO unix:{path} has mode 755: programs of other users, such as nginx, ")
        assert "--unix-mode 660" in line


def test_a_mode_that_was_asked_for_is_no_news(
    loop: dict[str, Any], lines: type[Lines], tmp_path: Path
) -> None:
    path = tmp_path / "app.sock"
    with served(f"unix:{path}", loop, logger=lines, unix_mode=0o600):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any("cannot connect" in line for line in lines.kept)


@pytest.mark.parametrize("wrong", [660, 0o1000, -1, "660", 6.0])
def test_a_mode_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"unix_mode is a number such as 0o660, at most 0o777, not"):
        Server(bind="unix:/run/app.sock", unix_mode=wrong)


@pytest.mark.parametrize("text", ["660", "0660", "0o660"])
def test_the_command_line_takes_octal(text: str) -> None:
    words = ["app:router", "-bunix:/x", f"--unix-mode={text}"]
    assert read(make_parser(), words, {})["unix_mode"] == 0o660
    assert read(make_parser(), words[:2], {"KISSAPI_UNIX_MODE": text})["unix_mode"] == 0o660


@pytest.mark.parametrize("text", ["rw", "888", "1777", ""])
def test_what_is_no_octal_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(make_parser(), ["app:router", f"--unix-mode={text}"], {})
    assert f"permissions are written in octal, such as 660, not {text!r}" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["router", "server"])
def test_the_command_line_sets_the_mode(target: str, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    (tmp_path / "app.py").write_text(
        "from kissapi import Server\nfrom tests.test_unix_sockets import make_router\n"
        "router = make_router()\nserver = Server(router=router)\n"
    )
    command = [sys.executable, "-m", "kissapi", f"app:{target}", "-b127.0.0.1:0", f"-bunix:{path}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Served([*command, "--unix-mode=606"], cwd=tmp_path, env=env):
        assert stat.S_IMODE(path.stat().st_mode) == 0o606
        assert "200 OK" in ask(str(path))

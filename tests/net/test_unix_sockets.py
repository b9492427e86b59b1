"""Unix sockets: paths and abstract names, which users may connect, what is told of a wrong path."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Request, Router, Server
from kissapi.cli.options import make_parser, read
from kissapi.log import Log
from kissapi.net.address import parse_address
from tests.peer import LAST, talk, until
from tests.serving import THREE, Served, make, options_of, running

if not hasattr(socket, "AF_UNIX"):
    pytest.skip("no Unix sockets here", allow_module_level=True)

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux'")


@pytest.fixture(params=THREE)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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


def make_router() -> Router:
    router = Router()

    @router.get("/")
    async def facts(req: Request) -> dict[str, Any]:
        return {"client": req.client, "pid": os.getpid()}

    return router


# Abstract names


def name() -> str:
    return f"kissapi-test-{os.getpid()}-{time.monotonic_ns()}"


@needs_linux
def test_a_name_with_an_at_sign_is_abstract(
    loop: str, lines: type[Lines], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    at = name()
    Path(f"@{at}").write_text("a file of this name is another thing")
    with running(
        make(loop, make_router(), bind=["127.0.0.1:0", f"unix:@{at}"], logger=lines, trusted_proxies="unix")
    ) as server:
        assert '"client":null' in talk(f"\0{at}", LAST).decode()
        assert str(server.addresses[1]) == f"unix:@{at}"
        with pytest.raises(SystemExit, match=f"^kissapi: @{at} is in use: stop the program that listens"):
            Server(bind=f"unix:@{at}", **options_of(loop)).loop()
    assert f"INFO Serving on unix:@{at} as well" in lines.kept
    assert not any("cannot connect" in line for line in lines.kept)
    assert os.listdir() == [f"@{at}"]
    with pytest.raises(ConnectionRefusedError):
        talk(f"\0{at}", LAST).decode()


@needs_linux
def test_the_url_of_an_abstract_name(loop: str) -> None:
    at = name()
    with running(make(loop, make_router(), bind=f"unix:@{at}")) as server:
        assert server.url == f"http+unix:@{at}"
        assert "200 OK" in talk(f"\0{at}", LAST).decode()


@needs_linux
def test_an_abstract_name_has_no_permissions(loop: str) -> None:
    server = Server(bind=f"unix:@{name()}", unix_mode=0o660, **options_of(loop))
    with pytest.raises(SystemExit, match="is no file, so it has no permissions: all programs"):
        server.loop()


@needs_linux
@pytest.mark.parametrize("words", [["--loop=asyncio"], ["--loop=uvloop"], ["--backend=selectors"]])
def test_an_abstract_name_is_handed_to_a_successor(words: list[str], tmp_path: Path) -> None:
    if "--loop=uvloop" in words:
        pytest.importorskip("uvloop")
    at = name()
    (tmp_path / "app.py").write_text(
        "from tests.net.test_unix_sockets import make_router\nrouter = make_router()"
    )
    command = [sys.executable, "-m", "kissapi", "app:router", "-b127.0.0.1:0", f"-bunix:@{at}", *words]
    with Served(command, cwd=tmp_path) as server:
        first = talk(f"\0{at}", LAST).decode()
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: talk(f"\0{at}", LAST).decode()[-20:] != first[-20:])


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


def test_a_link_to_nothing_is_called_so(loop: str, tmp_path: Path) -> None:
    link = tmp_path / "app.sock"
    link.symlink_to("gone.sock")
    with pytest.raises(SystemExit, match=r"app\.sock is a link to gone\.sock, which is not there: remove"):
        Server(bind=f"unix:{link}", **options_of(loop)).loop()
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
    loop: str,
    lines: type[Lines],
    tmp_path: Path,
    umask: Callable[[int], int],
    mask: int,
    mode: str,
    told: bool,
) -> None:
    umask(mask)
    path = tmp_path / "app.sock"
    with running(make(loop, make_router(), bind=["127.0.0.1:0", f"unix:{path}"], logger=lines)):
        assert f"{stat.S_IMODE(path.stat().st_mode):o}" == mode
    said = [line for line in lines.kept if "cannot connect" in line]
    assert len(said) == told
    for line in said:
        assert line.startswith(f"INFO unix:{path} has mode 755: programs of other users, such as nginx, ")
        assert "--unix-mode 660" in line


def test_a_mode_that_was_asked_for_is_no_news(loop: str, lines: type[Lines], tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with running(make(loop, make_router(), bind=f"unix:{path}", logger=lines, unix_mode=0o600)):
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
        "from kissapi import Server\nfrom tests.net.test_unix_sockets import make_router\n"
        "router = make_router()\nserver = Server(router=router)\n"
    )
    command = [sys.executable, "-m", "kissapi", f"app:{target}", "-b127.0.0.1:0", f"-bunix:{path}"]
    with Served([*command, "--unix-mode=606"], cwd=tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o606
        assert "200 OK" in talk(str(path), LAST).decode()

"""Every example, started as its reader starts it and asked with its own lines: the answers are what it shows.

`Session` and `Program` serve tests/house/test_pages.py as well. A session is what a person types and sees:

    $ curl localhost:8000/
    Hello, world!
"""

from __future__ import annotations

import ast
import atexit
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kissapi import Server
from tests.blocker import HIDDEN
from tests.forked import Forked
from tests.places import ROOT
from tests.serving import Served

NAMES = sorted(file.stem for file in (ROOT / "examples").glob("*.py") if file.stem != "__init__")
BLOCKER = [sys.executable, "-S", "-P", str(ROOT / "tests/blocker.py")]

# How a program is run: as it is, but on the backend named first, and on a free port of this machine alone.
RUNNER = """
import os, runpy, sys
sys.path.insert(0, os.getcwd())
from kissapi import Server
backend, program = sys.argv[1:]
from kissapi.server.running import Running
loop, new_life, start, started = Server.loop, Server._new_life, Running.start, []
def loop_elsewhere(server):
    server.backend = backend
    server.host, server.port = "127.0.0.1", 0  # where there are workers, their master binds
    started.append(server)
    loop(server)
def new_life_elsewhere(server, **given):
    if given.get("listening") is None:
        server.host, server.port = "127.0.0.1", 0
    started.append(server)
    return new_life(server, **given)
async def start_elsewhere(running):
    try:
        return await start(running)
    finally:
        sys.stdout.flush()
        os.write(1, b"port %d\\n" % running.settings.port)  # in one piece: workers say it at the same time
Server.loop, Server._new_life, Running.start = loop_elsewhere, new_life_elsewhere, start_elsewhere
if program.endswith(".py"):
    names = runpy.run_path(program, run_name="__main__")
    tests = [names[name] for name in names if name.startswith("test_")]
    for test in tests:
        result = test()
        if hasattr(result, "__await__"):
            import asyncio
            asyncio.run(result)
    if not started and not tests:
        Server(router=names["router"]).loop()
else:
    runpy.run_module(program, run_name="__main__")
"""

# For a machine without curl or nc: as much of them as the sessions use.
STAND_INS = {
    "curl": """
import http.client, re, ssl, sys
method, headers, body, head, urls, words = None, {}, None, False, [], iter(sys.argv[1:])
trusted = None
for word in words:
    if word == "-X": method = next(words)
    elif word == "-d": body = next(words)
    elif word == "-F":
        name, value = next(words).split("=", 1)
        field = f'--b\\r\\nContent-Disposition: form-data; name="{name}"'
        if value.startswith("@"): field, value = field + f'; filename="{value[1:]}"', open(value[1:]).read()
        body = (body or "") + field + "\\r\\n\\r\\n" + value + "\\r\\n"
        headers["Content-Type"] = "multipart/form-data; boundary=b"
    elif word == "--json": body, headers["Content-Type"] = next(words), "application/json"
    elif word == "-b": headers["Cookie"] = next(words)
    elif word == "-A": headers["User-Agent"] = next(words)
    elif word == "-H": headers.update([next(words).split(": ", 1)])
    elif word == "--cacert": trusted = next(words)
    elif word in ("-i", "-I"): head, method = True, "HEAD" if word == "-I" else method
    elif not word.startswith("-"): urls.append(word)
    elif word not in ("-N", "-s"): sys.exit("no such option in the stand-in: " + word)
if "multipart" in headers.get("Content-Type", ""): body += "--b--"
if body is not None: headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
for url in urls:
    secure, where, path = re.fullmatch("(?:http(s?)://)?([^/]+)(.*)", url).groups()
    client = http.client.HTTPConnection(where, timeout=10)
    if secure:
        context = ssl.create_default_context(cafile=trusted)
        client = http.client.HTTPSConnection(where, timeout=10, context=context)
    client.request(method or ("GET" if body is None else "POST"), path or "/", body, headers)
    answer = client.getresponse()
    if head:
        print("HTTP/1.1", answer.status, answer.reason)
        print("".join(f"{name}: {value}\\n" for name, value in answer.getheaders()), flush=True)
    sys.stdout.buffer.write(answer.read())
    sys.stdout.flush()
""",
    "nc": """
import socket, sys
host, port = [word for word in sys.argv[1:] if not word.startswith("-")]
client = socket.create_connection((host, int(port)), timeout=10)
client.sendall(sys.stdin.buffer.read())
client.shutdown(socket.SHUT_WR)
while data := client.recv(65536): sys.stdout.buffer.write(data)
""",
}

# What differs from one run to the next, and is shown as it once was.
CHANGING = [
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "DATE"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "MOMENT"),
    (re.compile(r'(?<="milliseconds":)\d+\.\d+'), "0.0"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"\b\d+\.\dms"), "0.0ms"),
    (re.compile(r"\b(localhost|0\.0\.0\.0|127\.0\.0\.1):\d+"), "HOST:PORT"),
]


def masked(text: str) -> list[str]:
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return [line.rstrip() for line in text.strip().splitlines()]


class Line(NamedTuple):
    """A line typed at the prompt, and what it shows."""

    command: str
    shown: str


def session(text: str) -> list[Line]:
    """Each `$ command` of `text` with the lines up to the next one."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return [Line(command, shown) for command, shown in zip(parts[::2], parts[1::2], strict=True)]


@cache
def scratch() -> Path:
    """A folder with RUNNER as a file, and with the stand-ins for clients that are missing here."""
    folder = Path(tempfile.mkdtemp(prefix="kissapi-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "runner.py").write_text(RUNNER, encoding="utf-8")
    for name, source in STAND_INS.items():
        program = folder / f"{name}.py"
        program.write_text(source, encoding="utf-8")
        # Not in the first line of the program: the path may have blanks, and is cut at 127 or 255 bytes.
        command = shlex.join([sys.executable, str(program)])
        (folder / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


class Program(Served):
    """A program run by RUNNER: a module of this checkout, or a file. `setting` is a backend, or "small".

    The small Python is this one behind tests/blocker.py, on the selectors backend; it can import what is in a
    checkout, and nothing that was installed.
    """

    def __init__(self, program: str, setting: str) -> None:
        small = setting == "small"
        python = [*BLOCKER, scratch() / "runner.py"] if small else [sys.executable, "-c", RUNNER]
        env = {
            name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "PYTHON_COLORS")
        }
        env["PYTHONUNBUFFERED"] = "1"  # what a program prints stands in its place among the lines of the log
        super().__init__([*python, "selectors" if small else setting, program], cwd=ROOT, env=env)

    def _begin(self, command: Sequence[str | Path], cwd: Path | None, env: dict[str, str]) -> Any:
        """The small Python anew, as it must lack what ours has; any other as a fork."""
        _, runs, *arguments = command
        if runs != "-c" or not hasattr(os, "fork"):
            return super()._begin(command, cwd, env)
        return Forked(RUNNER, [str(each) for each in arguments[1:]], env)

    def _port(self) -> int:
        """From the line of RUNNER, for a log may go elsewhere; 0 for a program that serves no port."""
        for line in self.lines():
            if line.startswith("port "):
                return int(line.split()[1])
            self.output += line
        return 0

    def __enter__(self) -> Program:
        return self

    def finish(self) -> None:
        """Wait for a program that ends by itself."""
        self.process.wait(self.seconds)

    def answer(self, command: str) -> str:
        """What `command` prints, with this program in place of the one on port 8000."""
        assert self.port, "it does not serve"
        here = re.sub(r"localhost([: ])8000\b", rf"127.0.0.1\g<1>{self.port}", command)
        assert here != command, f"this line asks no server on port 8000: {command}"
        done = subprocess.run(
            ["sh", "-c", here],
            env={"PATH": os.pathsep.join([os.environ["PATH"], str(scratch())]), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=10,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout


def at_once(settings: Sequence[str], test: Callable[[str], None]) -> None:
    """Run `test` for all of `settings` at the same time, and say for which of them it failed."""
    with ThreadPoolExecutor(len(settings)) as pool:
        runs = {setting: pool.submit(test, setting) for setting in settings}
    for setting, run in runs.items():
        if (error := run.exception()) is not None:
            error.add_note(f"on {setting}")
            raise error


@pytest.mark.parametrize("name", NAMES)
def test_example(name: str) -> None:
    tree = ast.parse((ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8"))
    lines = session(ast.get_docstring(tree) or "")
    assert lines, "the docstring says how to ask it and what one sees"
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    settings = ["asyncio", "selectors"] + ["small"] * HIDDEN.isdisjoint(imported)

    def ask(setting: str) -> None:
        with Program(f"examples.{name}", setting) as program:
            for command, shown in lines:
                assert masked(program.answer(command)) == masked(shown), command

    at_once(settings, ask)


@pytest.mark.parametrize("name", NAMES)
def test_example_is_short_and_can_be_imported(name: str) -> None:
    source = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    usual = 60 if (ROOT / "examples" / f"{name}.html").exists() else 39  # lines that are not blank
    # Whole protocols.
    most = {"binary": 59, "pubsub": 99, "resp": 139, "smtp": 129, "store": 59}.get(name, usual)
    assert sum(not line.isspace() for line in source.splitlines(keepends=True)) <= most
    server = importlib.import_module(f"examples.{name}").server  # and the import ends: it does not serve
    assert isinstance(server, Server)
    assert (server.host, server.port) == ("0.0.0.0", 8000)


def test_hello_is_the_quick_start() -> None:
    program = (ROOT / "examples/hello.py").read_text(encoding="utf-8").partition('"""\n\n')[2]
    program = re.sub("# mypy.*", "", program).replace('if __name__ == "__main__":', "")
    assert [line.strip() for line in program.splitlines() if line.strip()] == [
        "from kissapi import Request, Router, Server",
        "router = Router()",
        '@router.get("/")',
        "async def hello(req: Request):",
        'return "Hello, world!"',
        "server = Server(router=router)",
        "server.loop()",
    ]


@pytest.mark.parametrize("client", STAND_INS)
def test_the_client_is_a_real_one(client: str) -> None:
    if shutil.which(client) is None:
        pytest.skip(
            f"{client} is not installed: a few lines of Python stand in for it, here and for the README"
        )


@pytest.mark.parametrize("name", ["routes", "rpc"])
def test_the_stand_ins_show_what_the_real_clients_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{scratch()}{os.pathsep}{os.environ['PATH']}")
    lines = session(importlib.import_module(f"examples.{name}").__doc__ or "")
    with Program(f"examples.{name}", "selectors") as program:
        for command, shown in lines:
            assert masked(program.answer(command)) == masked(shown), command

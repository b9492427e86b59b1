"""A Python without asyncio, which a full one plays: a server that names no backend serves all the same.

tests/house/test_minimal.py shows it where asyncio really is not there.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from kissapi import Server
from tests.places import ROOT
from tests.serving import Served

# Two ways in which a module is not there: nothing finds it, and it may not be imported.
HIDE = {
    "not found": """
import sys, importlib.abc
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "asyncio":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide)
""",
    "blocked": "import sys\nsys.modules['asyncio'] = None\n",
}
APP = """
from kissapi import Router, Server, serve

router = Router()

@router.get("/")
async def hello(req):
    return "Hello"

"""


@pytest.fixture(params=HIDE)
def hide(request: pytest.FixtureRequest) -> str:
    return HIDE[request.param]


def command(hide: str, code: str) -> list[str]:
    return [sys.executable, "-c", f"{hide}{APP}{code}"]


@pytest.mark.parametrize("options", ["", ", workers=2", ", loops=2"])
def test_a_server_that_names_no_backend_serves_on_selectors(hide: str, options: str) -> None:
    code = f"""
server = Server("127.0.0.1", 0, router=router{options})
print(server.backend, flush=True)
server.loop()
"""
    with Served(command(hide, code), cwd=ROOT) as served:
        assert served.get("/") == b"Hello"
    lines = served.output.splitlines()
    assert lines[0] == "selectors"
    assert (
        sum(line.endswith('This Python has no asyncio: serving on backend="selectors"') for line in lines)
        == 1
    )


@pytest.mark.parametrize(
    "options", ['backend="asyncio"', "loop_factory=print", 'backend="asyncio", workers=2']
)
def test_asyncio_by_its_name_is_refused_in_one_line(hide: str, options: str) -> None:
    code = f"Server('127.0.0.1', 0, router=router, {options}).loop()"
    ended = subprocess.run(command(hide, code), cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        'kissapi: this Python has no asyncio: choose loop="selectors" (--loop selectors) in its place\n'
    )


def test_in_a_thread_it_is_an_error_that_can_be_caught(hide: str) -> None:
    code = """
import threading
def run():
    try:
        Server(port=0, backend="asyncio").loop()
    except ImportError as error:
        print(error)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
    ended = subprocess.run(command(hide, code), cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert ended.stdout.startswith("this Python has no asyncio: choose")


def test_the_testing_client_takes_what_there_is(hide: str) -> None:
    code = "from kissapi.extras.testing import Client\nprint(Client(router), Client(router).get('/').text)"
    ended = subprocess.run(command(hide, code), cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert ended.stdout == "<Client backend='selectors'> Hello\n", ended.stderr


def test_with_asyncio_it_is_asyncio_and_not_imported_before_it_is_needed() -> None:
    code = "import sys\nfrom kissapi import Server\nprint(Server().backend, 'asyncio' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert ended.stdout == "asyncio False\n"


def test_a_backend_that_the_command_line_names_is_no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncio", None)
    server = Server()
    assert (server.backend, server.settings.lacks_asyncio) == ("selectors", True)
    server.port = 1
    assert server.settings.lacks_asyncio
    server.backend = "selectors"
    assert not server.settings.lacks_asyncio

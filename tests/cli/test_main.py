"""The command line: what a target may be, what flags and environment say, what is told of mistakes."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kissapi import Server, __version__
from kissapi.cli.main import main, make_server
from kissapi.cli.options import flag_of, make_parser, read
from kissapi.extras.json_log import JsonLog
from kissapi.http.limits import Limits
from kissapi.log import Log
from kissapi.server.settings import is_argument
from tests.serving import Served

APP = """
from kissapi import Request, Router, Server

router = Router()

@router.get("/")
async def hello(req: Request):
    return "Hello"

@router.before
def check(req):
    pass

server = Server("127.0.0.1", 8111, router=router, max_body=7, access_log=False)

def make():
    return server

class Holder:
    inner = router

async def later():
    return router

def greedy(what):
    return router

def broken():
    return 1 / 0
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Writes a module where the command line looks for it; it is forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in os.environ:
        if name.startswith("KISSAPI_") or name in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"):
            monkeypatch.delenv(name)

    def write(name: str, text: str) -> None:
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")

    before = set(sys.modules)
    write("shop", APP)
    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


Write = Callable[[str, str], None]
Capture = pytest.CaptureFixture[str]


def given(*words: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """What is read from `words` and the environment, but for the target."""
    found = read(make_parser(), ["shop:router", *words], environ or {})
    assert found.pop("target") == "shop:router"
    return found


def fails(capsys: Capture, *words: str, environ: dict[str, str] | None = None) -> str:
    """The last line of what is said of wrong usage."""
    with pytest.raises(SystemExit) as ended:
        given(*words, environ=environ)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("kissapi: error: ")


# Targets


@pytest.mark.parametrize("target", ["shop:router", "shop:server", "shop:make", "shop:Holder.inner"])
def test_a_target_is_a_router_a_server_or_what_makes_one(write: Write, target: str) -> None:
    server = make_server(target, {})
    assert isinstance(server, Server)
    assert [route.path for route in server.router.routes()] == ["/"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("shop", "'shop' is no target: write MODULE:NAME, such as shop:router"),
        ("shop.py:server", "'shop.py:server' is no target: write MODULE:NAME, such as shop:server"),
        ("./a/shop.py:server", "'./a/shop.py:server' is no target: write MODULE:NAME, such as a.shop:server"),
        ("a b:c", "'a b:c' is no target: write MODULE:NAME, such as app:c"),
        ("nowhere:router", "there is no module 'nowhere' in {here}, nor elsewhere"),
        ("shop.inner:router", "there is no module 'shop.inner' in {here}, nor elsewhere"),
        ("shop:app", "shop has no 'app'; it has router, server"),
        ("shop:__name__", "shop:__name__ is 'shop', and neither a Router nor a Server nor what makes one"),
        ("shop:dict", "shop has no 'dict'; it has router, server"),
        (
            "shop:Holder",
            "shop:Holder() gave {holder}, and neither a Router nor a Server, nor an ASGI or WSGI app",
        ),
        ("shop:greedy", "shop:greedy is <function greedy at 0x"),
        ("shop:later", "shop:later() gave <coroutine object later at 0x"),
    ],
)
def test_a_wrong_target_is_told_in_one_line(write: Write, capsys: Capture, target: str, said: str) -> None:
    assert main([target]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    said = said.format(here=os.getcwd(), holder="<shop.Holder object at 0x", dict=dict)
    assert output.err.startswith(f"kissapi: {said.partition(' at 0x')[0]}")
    assert output.err.count("\n") == 1


def test_a_mistake_in_the_module_is_shown_to_where_it_is_theirs(write: Write, capsys: Capture) -> None:
    write("wrong", 'from kissapi import Router\nrouter = Router()\nrouter.get("users")\n')
    assert main(["wrong:router"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{os.getcwd()}/wrong.py", line 3, in <module>'
    assert [line for line in lines if line.startswith("  File")] == [lines[1]]
    assert lines[-2:] == [
        'ValueError: a path starts with "/": "/users", not \'users\'',
        "kissapi: wrong cannot be imported",
    ]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e", "KeyError: 'x'"),
    ],
)
def test_what_a_module_raises(write: Write, capsys: Capture, text: str, last: str) -> None:
    write("wrong", text)
    assert main(["wrong:router"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [last, "kissapi: wrong cannot be imported"]
    assert not any("importlib" in line or f"{os.sep}kissapi{os.sep}" in line for line in lines)


@pytest.mark.parametrize("command", [[], ["routes"], ["check"]])
def test_a_module_that_serves_when_it_is_imported(write: Write, capsys: Capture, command: list[str]) -> None:
    write(
        "wrong",
        "from kissapi import Router, Server\nrouter = Router()\nServer(port=0, router=router).loop()\n",
    )
    assert main([*command, "wrong:router"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "line 3, in <module>" in lines[1]
    assert 'below if __name__ == "__main__":' in lines[-2]


def test_a_file_that_is_no_socket_is_not_in_use(write: Write, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match=r"^kissapi: shop\.py is there, and no socket: remove it, .*"):
        main(["shop:router", "-b", "unix:shop.py"])


def test_what_a_factory_raises(write: Write, capsys: Capture) -> None:
    assert main(["shop:broken"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == ["ZeroDivisionError: division by zero", "kissapi: shop:broken() failed"]
    assert [line for line in lines if "File" in line] == [
        f'  File "{os.getcwd()}/shop.py", line 29, in broken'
    ]


# Flags and environment


def test_an_option_that_is_not_given_is_not_there() -> None:
    assert given() == {}


def test_an_argument_beats_the_environment() -> None:
    environ = {"KISSAPI_PORT": "1", "PORT": "2", "KISSAPI_BACKEND": "selectors", "WEB_CONCURRENCY": "3"}
    assert given(environ=environ) == {"port": 1, "backend": "selectors", "workers": 3}
    assert given("--port=4", "--workers", "5", environ=environ) == {
        "port": 4,
        "backend": "selectors",
        "workers": 5,
    }
    assert given(environ={"PORT": "2", "KISSAPI_HOST": ""}) == {"port": 2}
    assert given("--loop=uvloop", environ={"KISSAPI_BACKEND": "selectors"}) == {"loop": "uvloop"}
    assert given("--backend=selectors", environ={"KISSAPI_LOOP": "uvloop"}) == {"backend": "selectors"}


def test_where_to_listen_is_said_in_one_way(capsys: Capture) -> None:
    assert given("-b", "127.0.0.1:1", "--bind=unix:/x", environ={"PORT": "2", "KISSAPI_HOST": "h"}) == {
        "bind": ["127.0.0.1:1", "unix:/x"]
    }
    assert given("--port", "3", environ={"KISSAPI_BIND": ":1", "KISSAPI_HOST": "h"}) == {
        "port": 3,
        "host": "h",
    }
    assert given(environ={"KISSAPI_BIND": ":1, [::]:2", "PORT": "3"}) == {"bind": [":1", "[::]:2"]}
    said = fails(capsys, "--bind", ":1", "--port", "2")
    assert said == "--bind says where to listen: leave out --host and --port"


def test_yes_and_no(capsys: Capture) -> None:
    assert given("--no-access-log") == {"access_log": False}
    assert given("--access-log", environ={"KISSAPI_ACCESS_LOG": "0"}) == {"access_log": True}
    assert given(environ={"KISSAPI_ACCESS_LOG": "0"}) == {"access_log": False}
    assert given(environ={"KISSAPI_NO_ACCESS_LOG": "yes"}) == {"access_log": False}
    assert given(environ={"KISSAPI_RELOAD": "ON"}) == {"reload": True}
    said = fails(capsys, environ={"KISSAPI_RELOAD": "perhaps"})
    assert said == "KISSAPI_RELOAD is 1 or 0, not 'perhaps'"


def test_debug_takes_no_target_for_its_value(capsys: Capture) -> None:
    assert read(make_parser(), ["--debug", "shop:router"], {}) == {"debug": True, "target": "shop:router"}
    assert given("--debug=force") == {"debug": "force"}
    assert given(environ={"KISSAPI_DEBUG": "1"}) == {"debug": True}
    assert given(environ={"KISSAPI_DEBUG": "force"}) == {"debug": "force"}
    assert given("--debug=off", environ={"KISSAPI_DEBUG": "1"}) == {}
    assert "invalid choice: 'x'" in fails(capsys, "--debug=x")


def test_every_limit_has_a_flag() -> None:
    parser = make_parser()
    for name in Limits.__annotations__:
        words = [flag_of(name), "7"]
        variable = {"KISSAPI_" + flag_of(name)[2:].upper().replace("-", "_"): "7"}
        assert read(parser, ["shop:router", *words], {}) == {"target": "shop:router", name: 7}
        assert given(environ=variable) == {name: 7}
    assert given("--max-body=16M", "--idle-timeout=0.5") == {"max_body": 16 << 20, "idle_timeout": 0.5}


def test_the_older_names_of_flags_are_heeded() -> None:
    assert given("--limit-body=16M", "--timeout-idle=0.5") == {"max_body": 16 << 20, "idle_timeout": 0.5}
    assert given("--ssl-certfile=a", environ={"KISSAPI_SSL_KEYFILE": "b"}) == {
        "certfile": "a",
        "keyfile": "b",
    }
    assert given(
        environ={"KISSAPI_LIMIT_BODY": "1K", "KISSAPI_LIMIT_HEAD": "2K", "KISSAPI_MAX_HEAD": "3K"}
    ) == {
        "max_body": 1024,
        "max_head": 3072,
    }


def test_a_flag_is_called_as_the_argument_that_it_gives() -> None:
    repeated = {"headers": "header"}  # each gives one
    dests = {action.dest for action in make_parser()._actions} - {"help", "version", "target"}
    for dest in dests - {"interface", "log_format", "reload"}:  # the command line's own
        assert is_argument(dest)
        assert f" {flag_of(repeated.get(dest, dest))}" in make_parser().format_help()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port=x"], "argument --port/-p: a port is a number from 0 to 65535, not 'x'"),
        (["--port=65536"], "argument --port/-p: a port is a number from 0 to 65535, not '65536'"),
        (["--loops=0"], "argument --loops: a number, at least 1, not '0'"),
        (["--max-body=1X"], "argument --max-body: a number, or one such as 64K, 16M, 1G, not '1X'"),
        (["--max-threads=0"], "--max-threads must be a whole number, at least 1, not 0"),
        (["--idle-timeout=-1"], "--idle-timeout must be seconds, at least 0, not -1.0"),
        (["--por=1"], "unrecognized arguments: --por=1: did you mean --port?"),
        (["--prot", "1"], "unrecognized arguments: --prot 1: did you mean --port?"),
        (["--zzz=1"], "unrecognized arguments: --zzz=1"),
        (["more"], "unrecognized arguments: more"),
    ],
)
def test_wrong_usage(capsys: Capture, words: list[str], said: str) -> None:
    assert fails(capsys, *words) == said


def test_wrong_variables_are_named(capsys: Capture) -> None:
    said = fails(capsys, environ={"PORT": "http"})
    assert said == "PORT: a port is a number from 0 to 65535, not 'http'"
    said = fails(capsys, environ={"KISSAPI_BACKEND": "uvloop"})
    assert said == "KISSAPI_BACKEND is asyncio or selectors, not 'uvloop'"


# Servers


def test_a_router_gets_a_server_of_the_defaults(write: Write) -> None:
    server = make_server("shop:router", given())
    assert (server.host, server.port, server.backend, server.logger) == ("0.0.0.0", 8000, "asyncio", None)
    assert make_server("shop:router", given("--reload")).host == "127.0.0.1"
    assert make_server("shop:router", given("--debug", "--host", "127.0.0.2")).host == "127.0.0.2"


def test_a_server_keeps_what_no_flag_changes(write: Write) -> None:
    server = make_server("shop:server", given())
    assert (server.host, server.port, server.limits.max_body) == ("127.0.0.1", 8111, 7)
    flags = ["--port=1", "--backend=selectors", "--max-head=9K", "--log-format=json", "--access-log"]
    changed = make_server("shop:server", given(*flags))
    assert changed is server
    assert (server.host, server.port, server.backend) == ("127.0.0.1", 1, "selectors")
    assert [str(address) for address in server.addresses] == ["127.0.0.1:1"]
    assert (server.limits.max_body, server.limits.max_head) == (7, 9216)
    assert server.logger is JsonLog
    assert isinstance(server.settings.make_log(), JsonLog)
    assert server.access_log
    make_server("shop:server", given("--bind=unix:/x", "--log-format=text", "--loops=2"))
    assert [str(address) for address in server.addresses] == ["unix:/x"]
    assert type(server.settings.make_log()) is Log
    assert server.loops == 2


def test_the_loop(write: Write, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_server("shop:server", given("--loop=asyncio:new_event_loop"))
    assert server.loop_factory is not None
    assert server.loop_factory.__name__ == "new_event_loop"
    assert make_server("shop:server", given("--loop=asyncio")).loop_factory is None
    make_server("shop:server", given("--loop=asyncio:new_event_loop"))
    assert make_server("shop:server", given("--backend=selectors")).loop_factory is None
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert main(["shop:router", "--loop=uvloop"]) == 1
    assert capsys.readouterr().err == "kissapi: uvloop is not installed: pip install kissapi[uvloop]\n"


def test_what_a_server_refuses_is_told_in_one_line(write: Write, capsys: Capture) -> None:
    assert main(["shop:router", "--certfile=nowhere.pem"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("kissapi: ")
    assert "nowhere.pem" in said
    assert said.count("\n") == 1
    assert main(["shop:router", "--bind=nonsense"]) == 1
    assert capsys.readouterr().err.startswith("kissapi: 'nonsense' is no address")


def test_proxies(write: Write) -> None:
    server = make_server(
        "shop:server", given("--proxy-protocol", environ={"FORWARDED_ALLOW_IPS": "10.0.0.0/8"})
    )
    assert server.settings.trusted is not None
    assert "10.1.2.3" in server.settings.trusted
    assert server.proxy_protocol


# Commands


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"kissapi {__version__}\n"


def test_routes(write: Write, capsys: Capture) -> None:
    write(
        "api", "from shop import router\nfrom kissapi import Router\nroot = Router()\nroot['/shop'] = router"
    )
    assert main(["routes", "api:root"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "METHOD  PATH    HANDLER     HOOKS       ROUTER",
        "GET     /shop/  shop.hello  shop.check  shop:router",
        "GET     /shop   shop.hello  shop.check  shop:router",
    ]


def test_check(write: Write, capsys: Capture) -> None:
    assert main(["check", "shop:make"]) == 0
    assert capsys.readouterr().out == "1 routes, and nothing wrong with them\n"
    write(
        "messy",
        """
from kissapi import Router
router, sub = Router(), Router()
async def one(req): ...
async def two(req): ...
router.get("/a")(one)
router.get("/a")(two)
router.get("/n/{value:float}")(one)
router.get("/n/{value:int}")(two)
router.get("/n/{value}")(two)
router.get("/n/{value:path}")(one)
router.add_route("CONNECT", "/c", one)
router.get("/x/a")(one)
sub.get("/a")(two)
router.get("/caf\u00e9")(one)
router["/x"] = sub
""",
    )
    assert main(["check", "messy:router"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "messy.py:7: GET /a is registered twice; the last one wins",
        "messy.py:16: GET /x/a is there twice; the last one wins",
        "GET /n/{value:int} (messy.two) is never reached: GET /n/{value:float} (messy.one) comes first",
        "CONNECT /c (messy.one) is never reached: such a request is answered with 501",
        "GET /x/a (messy.one) is never reached: GET /x/a (messy.two) comes first",
    ]


def test_check_tells_what_keeps_a_server_from_starting(write: Write, capsys: Capture) -> None:
    write(
        "twice",
        "from shop import *\nsub = Router()\nsub.get('/{id}')(hello)\nrouter['/{id}'] = sub\n",
    )
    assert main(["check", "twice:router"]) == 1
    assert "parameter 'id' is in '/{id}/{id}' twice" in capsys.readouterr().out


# What ends before it serves


@pytest.fixture
def signals() -> Iterator[None]:
    """A program that ends gives signals back as Python has them, and not as pytest does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_port_that_is_taken(write: Write, signals: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(SystemExit, match=rf"^kissapi: port {port} of 127\.0\.0\.1 is in use: .*"):
            main(["shop:server"])


def test_debug_needs_a_local_address(write: Write, signals: None) -> None:
    with pytest.raises(SystemExit, match=r"^kissapi: debug shows source and variables to every client"):
        main(["shop:router", "--debug", "--host=0.0.0.0", "--port=0"])
    assert make_server("shop:router", given("--debug")).host == "127.0.0.1"


def test_what_on_start_raises_is_shown(write: Write, signals: None, backend: str, capsys: Capture) -> None:
    write("late", f"{APP}\n@server.on_start\ndef connect():\n    raise OSError('no database')\n")
    assert main(["late:server", "--port=0", "--backend", backend]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == ["OSError: no database", "kissapi: cannot start: OSError"]
    assert [line for line in lines if line.startswith("  File")] == [
        f'  File "{os.getcwd()}/late.py", line 33, in connect'
    ]


# In a process of its own


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "kissapi", *words]


def test_it_serves(write: Write, backend: str) -> None:
    words = command("shop:server", "--port=0", "--access-log", "--backend", backend)
    with Served(words, cwd=Path.cwd()) as served:
        assert served.get("/") == b"Hello"
    assert " GET / → 200 5B " in served.output


def test_it_serves_on_uvloop(write: Write) -> None:
    if find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    with Served(command("shop:router", "-b127.0.0.1:0", "--loop=uvloop")) as served:
        assert served.get("/") == b"Hello"


def test_debug_serves_tracebacks(write: Write, backend: str) -> None:
    write("wrong", f"{APP}\n@router.get('/wrong')\nasync def wrong(req):\n    return 1 / 0\n")
    words = command("wrong:router", "--debug", "--port=0", "--backend", backend)
    with Served(words) as served:
        client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        client.request("GET", "/wrong")
        answer = client.getresponse()
        assert answer.status == 500
        assert b"ZeroDivisionError: division by zero" in answer.read()
        client.close()

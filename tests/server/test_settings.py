"""Settings: what a server is made with is checked, held, replaced, and never half of it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kissapi import HttpParser, Request, Router, Server
from kissapi.cli.options import make_parser, read
from kissapi.http.limits import Limits
from kissapi.server.settings import Setting
from tests.certificates import make_certificates


def test_settings_are_replaced_and_never_changed() -> None:
    server = Server(port=8001, max_body=7)
    before = server.settings
    with pytest.raises(AttributeError, match=r"server\.settings\.replace\(port=…\)"):
        before.port = 8002
    server.port = 8002
    assert (before.port, server.port, server.limits.max_body) == (8001, 8002, 7)
    assert server.url == "http://0.0.0.0:8002"
    server.settings = server.settings.replace(max_head=4096, access_log=False)
    assert (server.limits.max_body, server.limits.max_head, server.access_log) == (7, 4096, False)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("port", 65536), ("loops", 0), ("backend", "trio"), ("router", {}), ("unix_mode", 0o1000), ("host", 1)],
)
def test_what_is_set_is_checked_and_what_is_wrong_changes_nothing(name: str, wrong: Any) -> None:
    server = Server(port=8001)
    before = server.settings
    with pytest.raises((ValueError, TypeError), match=name):
        setattr(server, name, wrong)
    assert server.settings is before


def test_what_says_the_same_in_other_words_gives_way() -> None:
    settings = Server(bind=["127.0.0.1:1", "unix:/x"]).settings
    assert [str(each) for each in settings.replace(port=2).addresses] == ["127.0.0.1:2"]
    assert [str(each) for each in settings.replace(host="::1").addresses] == ["[::1]:1"]
    assert [str(each) for each in Server(port=2).settings.replace(bind=":3").addresses] == ["0.0.0.0:3"]
    own = Server(loop_factory=print).settings
    assert own.replace(backend="selectors").loop_factory is None
    assert own.replace(backend="asyncio").loop_factory is print
    assert own.replace(loop="asyncio").loop_factory is None
    assert own.replace(loop="selectors").backend == "selectors"
    assert Server(loop="asyncio").settings.replace(loop_factory=print).loop_factory is print
    assert Server(loop="selectors").settings.replace(backend="asyncio").backend == "asyncio"


def test_what_does_not_change_is_not_made_again(tmp_path: Path) -> None:
    server = Server(certfile=make_certificates(tmp_path) / "both.pem", trusted_proxies="127.0.0.1")
    tls, trusted = server.tls, server.settings.trusted
    server.port = 1
    assert (server.tls, server.settings.trusted) == (tls, trusted)
    assert server.settings.replace(proxy_protocol=True).trusted is not None
    assert server.settings.replace(ssl=None).tls is None
    server.parser_class = type("Other", (), {"__init__": lambda *_: None})
    assert server.url == "tls://0.0.0.0:1"


def test_a_limit_that_is_set_by_hand_is_kept() -> None:
    server = Server()
    server.limits.max_body = 5
    server.port = 1
    assert server.limits.max_body == 5


def test_a_copy_has_the_functions_and_other_settings() -> None:
    server = Server(port=1)
    server.on_start(print)
    other = server.copy(port=2)
    assert (server.port, other.port, [step.function for step in other.steps()]) == (1, 2, [print])


def test_a_copy_is_changed_alone() -> None:
    class Named(Server):
        name = ""

    server = Named(port=1)
    server.name = "first"
    other = server.copy(debug=True)
    other.limits.max_body = 5
    server.on_stop(print)  # what is registered later is the copy's, too: a test client may be made early
    assert (server.limits.max_body, len(other.steps())) == (Limits.max_body, 1)
    assert isinstance(other, Named)
    assert (other.name, other.router is server.router) == ("first", True)
    assert other.router.local_only is not None


@pytest.mark.parametrize("name", ["bind", "loop", "ssl", "certfile", "trusted_proxies", "max_body"])
def test_what_is_no_attribute_is_not_set_in_vain(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"server\.settings\.replace\({name}=…\)"):
        setattr(Server(), name, None)


@pytest.mark.parametrize(
    ("name", "wrong"), [("limits", {}), ("addresses", []), ("tls", None), ("settings", {})]
)
def test_what_follows_from_settings_is_not_set(name: str, wrong: Any) -> None:
    server = Server()
    before = server.settings
    with pytest.raises(TypeError, match=name):
        setattr(server, name, wrong)
    assert server.settings is before


def test_an_iterator_is_kept_for_checks_to_come() -> None:
    server = Server(trusted_proxies=iter(["127.0.0.1"]), proxy_headers=iter(["forwarded"]))
    server.proxy_protocol = True
    assert server.settings.proxy_fields == {"forwarded"}
    assert server.settings.trusted is not None


@pytest.mark.parametrize("debug", ["0", "off", "yes", ""])
def test_debug_is_no_word_of_the_environment(debug: Any) -> None:
    with pytest.raises(ValueError, match="debug must be True, False or"):
        Server(debug=debug)


def test_headers_may_be_set_later() -> None:
    server = Server()
    server.headers = {"X-A": "1"}
    assert server.headers.lines == b"\r\nX-A: 1"


def test_settings_of_the_class_are_there_to_be_looked_at() -> None:
    assert isinstance(Server.port, Setting)


def test_while_it_runs_nothing_is_set(serve: Any) -> None:
    server = serve(Router())
    with pytest.raises(RuntimeError, match="running already"):
        server.port = 1


def test_debug_may_be_set_later() -> None:
    server = Server(router=Router())
    server.debug = True
    assert server.router.local_only is not None
    server.settings = server.settings.replace(debug="force")
    assert server.router.local_only is None


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"loop": "uvlop"}, "did you mean uvloop?"),
        ({"loop": "selector"}, "did you mean selectors?"),
        ({"backend": "uvloop"}, 'loop="uvloop"'),
        ({"prot": 1}, "did you mean port?"),
        ({"max_boddy": 1}, "did you mean max_body?"),
        ({"loop": "selectors", "backend": "asyncio"}, "two event loops"),
        ({"loop": "uvloop", "loop_factory": print}, "two event loops"),
        ({"loop": 1}, "must be"),
        ({"loop_factory": 1}, "loop_factory must be what makes"),
        ({"bind": 8000}, "bind must be an address such as"),
        ({"bind": "[::1"}, "in brackets: [::1]:8000"),
    ],
)
def test_a_name_that_is_wrong_suggests_the_nearest(given: dict[str, Any], hint: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        Server(**given)
    assert hint in str(caught.value)


def test_loops_by_name() -> None:
    assert Server(loop="asyncio").backend == "asyncio"
    assert Server(loop="selectors").backend == "selectors"
    uvloop = pytest.importorskip("uvloop")
    server = Server(loop="uvloop", backend="asyncio")
    assert (server.backend, server.loop_factory) == ("asyncio", uvloop.new_event_loop)


def test_it_serves_on_a_loop_by_its_name() -> None:
    uvloop = pytest.importorskip("uvloop")
    server = Server("127.0.0.1", 0, loop="uvloop", access_log=False)
    started = threading.Event()
    server.on_start(started.set)
    thread = threading.Thread(target=server.loop)
    thread.start()
    assert started.wait(5)
    assert server.running is not None
    assert type(server.running.loop) is uvloop.Loop
    server.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_without_uvloop_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ImportError, match=r"uvloop is not installed: pip install kissapi\[uvloop\]"):
        Server(loop="uvloop")


def test_the_command_line_has_the_same_names(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("asyncio", "selectors", "uvloop", "app:make_loop"):
        assert read(make_parser(), ["a:b", f"--loop={name}"], {}) == {"target": "a:b", "loop": name}
    with pytest.raises(SystemExit):
        read(make_parser(), ["a:b", "--loop=uvlop"], {})
    assert "not 'uvlop': did you mean uvloop?" in capsys.readouterr().err


def test_the_defaults_of_a_server() -> None:
    server = Server()
    assert (server.parser_class, server.request_class, server.unix_mode) == (HttpParser, Request, None)
    assert (server.loops, server.workers, server.debug, server.proxy_protocol) == (1, None, False, False)
    assert repr(server.settings) == "<Settings http://0.0.0.0:8000 backend='asyncio'>"

"""`kissapi module:app` with a WSGI app: recognised by what it takes, or named by --interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kissapi import Router
from kissapi.cli.app_import import StartError, load
from kissapi.extras.testing import Client
from tests.serving import Served

SOURCE = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"by WSGI"]

def make():
    return app

def odd(*arguments):
    return app(*arguments)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "old_shop.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("old_shop", None)
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]


@pytest.mark.parametrize(
    ("name", "interface"), [("app", "auto"), ("make", "auto"), ("app", "wsgi"), ("odd", "wsgi")]
)
def test_a_wsgi_app_becomes_a_router(folder: Path, name: str, interface: str) -> None:
    router = load(f"old_shop:{name}", interface)
    assert isinstance(router, Router)
    with Client(router) as client:
        assert client.get("/any/path").text == "by WSGI"


def test_one_that_takes_anything_is_taken_for_a_factory(folder: Path) -> None:
    """The signature of `wsgiref.validate.validator(app)` is such a one."""
    with pytest.raises(StartError, match=r"odd\(\) failed \(if it is an app, --interface says so\)"):
        load("old_shop:odd")


@pytest.mark.parametrize("loop", ["asyncio", "selectors"])
def test_it_is_served(folder: Path, loop: str) -> None:
    command = [sys.executable, "-m", "kissapi", "old_shop:app", "--port", "0", "--loop", loop]
    with Served(command, cwd=folder) as server:
        assert server.get("/x") == b"by WSGI"


def test_several_loops_serve_one_app(folder: Path) -> None:
    command = [sys.executable, "-m", "kissapi", "old_shop:app", "--port", "0", "--loops", "2"]
    with Served(command, cwd=folder) as server:
        assert [server.get("/x") for _ in range(4)] == [b"by WSGI"] * 4

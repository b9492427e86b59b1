"""Reload: a change is seen, a new version serves, a broken one is told of and the old one goes on."""

from __future__ import annotations

import http.client
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi import watch as watching
from kissapi.extras.reload_page import VERSION, attach
from kissapi.extras.testing import Client
from kissapi.router import Router
from kissapi.server import Server
from kissapi.watch import Notes, Watch, files_of
from tests.browser import needs_browser
from tests.served import Served

if TYPE_CHECKING:
    from tests.browser import Browser

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sockets are handed down on POSIX only")

ROOT = Path(__file__).parent.parent

APP = """
from kissapi import Fail, Request, Router, html
import words

router = Router()

@router.before
def refuse(req: Request):
    if "secret" in req.query:
        raise Fail(401)

@router.get("/")
async def say(req: Request):
    return html(f'<p>{words.TEXT}</p><script src="/__reload__.js"></script>')

@router.on_error(404)
async def missing(req: Request, error: Fail):
    return "nothing here"
"""


# What is watched, and when it has changed


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> tuple[Notes, list[Path]]:
    """Notes of a process that has imported modules with these names, of the folder it is in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(watching, "_STARTED", time.time_ns() + 10**12)
    (tmp_path / "notes").mkdir()
    files = []
    for name in names:
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")
        module = type(sys)(f"watched_{name}")
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, f"watched_{name}", module)
        files.append(file)
    notes = Notes(str(tmp_path / "notes"), "app:router")
    notes.report()
    return notes, files


def known(notes: Notes) -> set[str]:
    watch = Watch(notes)
    watch.look()
    return set(watch._known)


def test_only_what_was_imported_and_is_the_apps_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bystander.py").write_text("2")
    names = ["a", "sub/b", ".venv/lib/site-packages/c"]
    notes, files = made(tmp_path, monkeypatch, *names)
    assert known(notes) == {str(file) for file in files[:2]}
    assert sys.modules["os"].__file__ not in known(notes)


def test_an_app_may_lie_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site-packages" / "lib é" / "kissapi"
    folder.mkdir(parents=True)
    notes, files = made(folder, monkeypatch, "a", "sub/b", ".venv/lib/site-packages/c")
    assert known(notes) == {str(file) for file in files[:2]}


def test_the_folder_of_the_app_is_watched_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, files = made(tmp_path, monkeypatch, "a", "sub/b")
    monkeypatch.chdir("/")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    notes = Notes(str(tmp_path / "notes"), "watched_a:router")
    os.unlink(notes.files)
    notes.report()
    assert known(notes) == {str(file) for file in files}


def test_a_change_counts_when_it_is_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes, [file, other] = made(tmp_path, monkeypatch, "a", "b")
    watch = Watch(notes)
    assert watch.look() == watch.look() == set()
    file.write_text("22")
    assert watch.look() == set()
    file.write_text("333")
    assert watch.look() == set()
    assert watch.look() == {str(file)}
    assert watch.look() == watch.look() == set()
    other.unlink()
    watch.look()
    assert watch.look() == {str(other)}
    other.write_text("back")
    watch.look()
    assert watch.look() == {str(other)}


def test_what_is_imported_later_is_watched_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes, _ = made(tmp_path, monkeypatch, "a")
    watch = Watch(notes)
    watch.look()
    late = tmp_path / "late.py"
    late.write_text("1")
    module = type(sys)("watched_late")
    module.__file__ = str(late)
    monkeypatch.setitem(sys.modules, "watched_late", module)
    notes.report()
    watch.look()
    late.write_text("22")
    watch.look()
    assert watch.look() == {str(late)}


def test_what_changes_while_it_is_imported_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes, [file] = made(tmp_path, monkeypatch, "a")
    monkeypatch.setattr(watching, "_STARTED", file.stat().st_mtime_ns - 1)
    again = Notes(notes.folder, "app:router")
    again.report()
    watch = Watch(again)
    watch.look()
    assert watch.look() == {str(file)}
    assert watch.look() == watch.look() == set()


def test_looking_takes_less_than_a_hundredth_of_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "watchfiles", None)
    notes, _ = made(tmp_path, monkeypatch, *(f"m{number}" for number in range(300)))
    watch = Watch(notes)
    waited: list[float] = []

    class Over(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            waited.append(timeout)
            return False

    over = Over()
    watch.wait(over)
    before = time.thread_time()
    for _ in range(20):
        watch.wait(over)
    assert time.thread_time() - before < sum(waited[1:]) / 100


@pytest.mark.skipif(watching.watchfiles is None, reason="watchfiles is not installed")
def test_watchfiles_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes, [file, other] = made(tmp_path, monkeypatch, "a", "b")
    watch, over = Watch(notes), threading.Event()
    assert watch.wait(over) == set()
    file.write_text("22")
    changed: set[str] = set()
    deadline = time.monotonic() + 10
    while not changed and time.monotonic() < deadline:
        changed = watch.wait(over)
    assert changed == {str(file)}
    (tmp_path / "bystander.py").write_text("2")
    assert watch.wait(over) == set()
    over.set()


def test_the_files_in_which_an_error_may_be_mended(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f(:")
    with pytest.raises(SyntaxError) as syntax:
        compile(wrong.read_text(), str(wrong), "exec")
    assert files_of(syntax.value, []) == {str(wrong), __file__}
    with pytest.raises(ModuleNotFoundError) as missing:
        import_module("nowhere.below")
    assert {__file__, "/x/nowhere.py", "/x/nowhere/__init__.py"} <= files_of(missing.value, ["/x/"])
    wrapped = ValueError()
    wrapped.__cause__ = syntax.value
    assert str(wrong) in files_of(wrapped, [])


# What pages hear


def page(notes: Notes, backend: str = "selectors") -> Client:
    router = Router()

    @router.before
    def refuse(req: Any) -> None:
        raise AssertionError("the app's hooks have no business with it")

    return Client(attach(Server(router=router), notes).router, backend=backend)


def test_the_script_knows_its_version(tmp_path: Path) -> None:
    answer = page(Notes(str(tmp_path))).get("/__reload__.js")
    assert answer.headers["content-type"] == "text/javascript"
    assert answer.headers["cache-control"] == "no-store"
    assert f'"/__reload__?version={VERSION}"' in answer.text


def test_another_protocol_is_left_alone(tmp_path: Path) -> None:
    class Protocol:
        _finished = False

        def __init__(self, request: Any) -> None: ...

        def feed_data(self, data: bytes) -> None: ...

    router = Router()
    server = Server(router=router, parser_class=Protocol)
    assert attach(server, Notes(str(tmp_path))).router is router


# The whole of it


@contextmanager
def app(tmp_path: Path, backend: str, **files: str) -> Iterator[Served]:
    for name, text in {"app": APP, "words": "TEXT = 'one'\n", **files}.items():
        (tmp_path / f"{name}.py").write_text(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KISSAPI_")}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    words = ["-m", "kissapi", "app:router", "--reload", "--port=0", "--backend", backend]
    with Served([sys.executable, *words], cwd=tmp_path, env=env) as served:
        yield served
    assert list(temporary.iterdir()) == []  # nothing is left behind


def ask(served: Served, path: str, **headers: str) -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def listen(served: Served, version: str, until: str) -> str:
    """What `/__reload__` says to a page of `version`, until `until` is among it."""
    client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=15)
    try:
        client.request("GET", f"/__reload__?version={version}")
        answer = client.getresponse()
        assert answer.headers["content-type"] == "text/event-stream"
        text = ""
        while until not in text:
            piece = answer.read1()
            assert piece, f"it ended, and had said {text!r}"
            text += piece.decode()
        return text
    finally:
        client.close()


def version_of(served: Served) -> str:
    return ask(served, "/__reload__.js")[1].partition("version=")[2].partition('"')[0]


def test_a_change_is_served_and_a_mistake_is_not(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend) as served:
        assert "<p>one</p>" in ask(served, "/")[1]
        assert ask(served, "/nowhere") == (404, "nothing here")
        assert ask(served, "/?secret")[0] == 401
        first = version_of(served)
        assert ask(served, "/__reload__.js?secret")[0] == 200

        (tmp_path / "words.py").write_text("TEXT = (\n")
        said = listen(served, first, "cannot be imported")
        assert "event: error\n" in said
        assert "data: SyntaxError: '(' was never closed" in said
        assert "event: reload" not in said
        assert "<p>one</p>" in ask(served, "/")[1]

        (tmp_path / "words.py").write_text("TEXT = 'two'\n")
        wait_until(lambda: "<p>two</p>" in ask(served, "/")[1])
        second = version_of(served)
        assert second != first
        said = listen(served, first, f"data: {second}\n")
        assert "event: reload\n" in said
        assert "event:" not in listen(served, second, f"id: {second}\n")

        # The process that serves now is another, and is watched as well.
        (tmp_path / "words.py").write_text("TEXT = 'three'\n")
        wait_until(lambda: "<p>three</p>" in ask(served, "/")[1])
        wait_until(lambda: not list((tmp_path / "temporary").glob("*/error")))
    assert "words.py changed: starting anew" in served.output
    assert "SyntaxError: '(' was never closed" in served.output
    assert "kissapi: app cannot be imported" in served.output
    assert "before it served; the old one goes on" in served.output


def test_it_begins_with_a_mistake(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend, app="import more\nfrom words import TEXT\n" + APP) as served:
        status, text = ask(served, "/any/thing")
        assert status == 500
        assert "ModuleNotFoundError: No module named 'more'" in text
        status, text = ask(served, "/", Accept="text/html")
        assert "No module named &#x27;more&#x27;" in text
        assert '<script src="/__reload__.js"></script>' in text
        old = version_of(served)
        (tmp_path / "more.py").write_text("import os\n")
        wait_until(lambda: ask(served, "/")[0] == 200)
        assert "event: reload" in listen(served, old, "data: ")


def test_one_that_hangs_or_dies_gives_way_to_the_next(tmp_path: Path) -> None:
    with app(tmp_path, "selectors") as served:  # no loop has a part in it
        words = tmp_path / "words.py"
        words.write_text("import pathlib, time\npathlib.Path('here').touch()\ntime.sleep(60)\n")
        wait_until((tmp_path / "here").exists)
        words.write_text("import os\nos._exit(9)\n")
        said = listen(served, version_of(served), "event: error")
        assert "data: the new process ended with exit code 9 before it served" in said
        assert "<p>one</p>" in ask(served, "/")[1]
        words.write_text("TEXT = 'four'\n")
        wait_until(lambda: "<p>four</p>" in ask(served, "/")[1])
    assert served.output.count("before it served") == 1


@needs_browser
def test_in_a_browser(tmp_path: Path, browser: Browser) -> None:
    with app(tmp_path, "selectors") as served:
        browser.open(f"http://127.0.0.1:{served.port}/")
        words = tmp_path / "words.py"
        words.write_text("TEXT = <b>\n")
        browser.wait_for("return document.getElementById('kissapi-error')?.textContent.includes('<b>')")
        words.write_text("TEXT = 'two'\n")
        browser.wait_for("return document.querySelector('p').textContent == 'two'")
        assert browser.run("return document.getElementById('kissapi-error')") is None
        browser.open("about:blank")

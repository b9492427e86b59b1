"""Reload: a change is seen, a new version serves, a broken one is told of and the old one goes on."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kissapi.cli import watch as watching
from kissapi.cli.watch import ModuleWatch, files_of
from tests.places import ROOT
from tests.serving import Served

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sockets are handed down on POSIX only")


APP = """
from kissapi import Fail, Request, Router
import words

router = Router()

@router.before
def refuse(req: Request):
    if "secret" in req.query:
        raise Fail(401)

@router.get("/")
async def say(req: Request):
    return words.TEXT

@router.on_error(404)
async def missing(req: Request, error: Fail):
    return "nothing here"
"""


# What is watched, and when it has changed


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[Path]:
    """Modules with these names, imported from the current directory; their files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(watching, "_STARTED", time.time_ns() + 10**12)
    return [imported(tmp_path, monkeypatch, name) for name in names]


def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    file = tmp_path / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("1")
    module = type(sys)(f"watched_{name}")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, f"watched_{name}", module)
    return file


def known(target: str = "app:router") -> set[str]:
    watch = ModuleWatch(target)
    watch.look()
    return set(watch._known)


def test_only_what_was_imported_and_is_the_apps_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bystander.py").write_text("2")
    files = made(tmp_path, monkeypatch, "a", "sub/b", ".venv/lib/site-packages/c")
    assert known() == {str(file) for file in files[:2]}
    assert sys.modules["os"].__file__ not in known()


def test_an_app_may_lie_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site-packages" / "lib é" / "kissapi"
    folder.mkdir(parents=True)
    files = made(folder, monkeypatch, "a", "sub/b", ".venv/lib/site-packages/c")
    assert known() == {str(file) for file in files[:2]}


def test_the_folder_of_the_app_is_watched_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = made(tmp_path, monkeypatch, "a", "sub/b")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert known("watched_a:router") == {str(file) for file in files}


def test_a_change_counts_when_it_is_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = made(tmp_path, monkeypatch, "a", "b")
    watch = ModuleWatch()
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
    made(tmp_path, monkeypatch, "a")
    watch = ModuleWatch()
    watch.look()
    late = imported(tmp_path, monkeypatch, "late")
    watch.look()
    late.write_text("22")
    watch.look()
    assert watch.look() == {str(late)}


def test_what_changes_while_it_is_imported_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [file] = made(tmp_path, monkeypatch, "a")
    monkeypatch.setattr(watching, "_STARTED", file.stat().st_mtime_ns - 1)
    watch = ModuleWatch()
    watch.look()
    assert watch.look() == {str(file)}
    assert watch.look() == watch.look() == set()


def test_looking_takes_less_than_a_hundredth_of_a_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "watchfiles", None)
    made(tmp_path, monkeypatch, *(f"m{number}" for number in range(300)))
    watch = ModuleWatch()
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


def changes(watch: ModuleWatch, over: threading.Event) -> set[str]:
    """What it has to tell within ten seconds."""
    changed: set[str] = set()
    deadline = time.monotonic() + 10
    while not changed and time.monotonic() < deadline:
        changed = watch.wait(over)
    return changed


@pytest.mark.skipif(watching.watchfiles is None, reason="watchfiles is not installed")
def test_watchfiles_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [file, _] = made(tmp_path, monkeypatch, "a", "b")
    watch, over = ModuleWatch(), threading.Event()
    assert watch.wait(over) == set()
    file.write_text("22")
    assert changes(watch, over) == {str(file)}
    (tmp_path / "bystander.py").write_text("2")
    assert watch.wait(over) == set()
    over.set()


def test_what_is_wrong_is_watched_after_what_serves_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With watchfiles and without: what has listened was told that it is over."""
    made(tmp_path, monkeypatch, "a")
    watch, served = ModuleWatch(), threading.Event()
    assert watch.wait(served) == set()
    served.set()
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f(:")
    with pytest.raises(SyntaxError) as error:
        compile(wrong.read_text(), str(wrong), "exec")
    watch.add_error(error.value)
    over = threading.Event()
    assert watch.wait(over) == set()
    wrong.write_text("def f(): ...")
    assert changes(watch, over) == {str(wrong)}
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


# The whole of it


class Mended(Served):
    """Does `mend` when a version that cannot start waits for a change."""

    def __init__(self, mend: Callable[[], object], command: Sequence[str], **options: Any) -> None:
        self.mend = mend
        super().__init__(command, **options)

    def lines(self) -> Iterator[str]:
        for line in super().lines():
            if line.endswith("; waiting for a change\n"):
                self.mend()
            yield line


def write(tmp_path: Path, **files: str) -> None:
    for name, text in {"app": APP, "words": "TEXT = 'one'\n", **files}.items():
        (tmp_path / f"{name}.py").write_text(text)


def command(backend: str) -> list[str]:
    return [sys.executable, "-m", "kissapi", "app:router", "--reload", "--port=0", "--backend", backend]


def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KISSAPI_")}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    return {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}


@contextmanager
def app(tmp_path: Path, backend: str) -> Iterator[Served]:
    write(tmp_path)
    with Served(command(backend), cwd=tmp_path, env=environment(tmp_path)) as served:
        yield served
    assert list((tmp_path / "temporary").iterdir()) == []  # nothing is left behind


def ask(served: Served, path: str) -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    finally:
        client.close()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def is_gone(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def wait_for_process(file: Path) -> int:
    """The number of the process that has written it to `file`."""
    wait_until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def test_a_change_is_served_and_a_mistake_is_not(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend) as served:
        assert ask(served, "/")[1] == "one"
        assert ask(served, "/nowhere") == (404, "nothing here")
        assert ask(served, "/?secret")[0] == 401

        (tmp_path / "words.py").write_text("import nothing_of_this_name\n")
        served.wait_for("ModuleNotFoundError: No module named 'nothing_of_this_name'")
        served.wait_for("kissapi: app cannot be imported; the old one goes on")
        assert ask(served, "/")[1] == "one"

        (tmp_path / "words.py").write_text("TEXT = 'two'\n")
        wait_until(lambda: ask(served, "/")[1] == "two")

        # The process that serves now is another, and is watched as well.
        (tmp_path / "words.py").write_text("TEXT = 'three'\n")
        wait_until(lambda: ask(served, "/")[1] == "three")
    assert "words.py changed: restarting" in served.output


def test_a_mistake_in_what_only_the_new_version_imports_is_mended(tmp_path: Path, backend: str) -> None:
    with app(tmp_path, backend) as served:
        (tmp_path / "more.py").write_text("import os\nopen('tried', 'w').write(str(os.getpid()))\n1 / 0\n")
        (tmp_path / "words.py").write_text("from more import TEXT\n")
        wrong = wait_for_process(tmp_path / "tried")
        served.wait_for("ZeroDivisionError")
        (tmp_path / "more.py").write_text("TEXT = 'two'\n")
        wait_until(lambda: ask(served, "/")[1] == "two")
        wait_until(lambda: is_gone(wrong))
    assert "kissapi: more.py changed: restarting" in served.output


def test_it_begins_with_a_mistake(tmp_path: Path, backend: str) -> None:
    write(tmp_path, app="import more\n" + APP)

    def mend() -> None:
        (tmp_path / "more.py").write_text("import os\n")

    with Mended(mend, command(backend), cwd=tmp_path, env=environment(tmp_path)) as served:
        assert ask(served, "/") == (200, "one")
        (tmp_path / "words.py").write_text("TEXT = 'two'\n")
        wait_until(lambda: ask(served, "/")[1] == "two")
    assert "ModuleNotFoundError: No module named 'more'" in served.output
    assert "kissapi: more.py changed: restarting" in served.output


def test_a_start_that_fails_is_tried_again(tmp_path: Path, backend: str) -> None:
    """What fails is no module, but what the server calls when it starts."""
    server = "from kissapi import Server\nserver = Server(router=router)\nserver.on_start(words.start)\n"
    good = "TEXT = 'one'\ndef start(): pass\n"
    write(tmp_path, app=APP + server, words="def start(): raise OSError('no database')\n")
    words = [word.replace("app:router", "app:server") for word in command(backend)]

    def mend() -> None:
        (tmp_path / "words.py").write_text(good)

    with Mended(mend, words, cwd=tmp_path, env=environment(tmp_path)) as served:
        assert ask(served, "/") == (200, "one")
        (tmp_path / "words.py").write_text("def start():\n    open('tried', 'w').close()\n    1 / 0\n")
        wait_until((tmp_path / "tried").exists)
        assert ask(served, "/") == (200, "one")
        (tmp_path / "words.py").write_text(good.replace("one", "two"))
        wait_until(lambda: ask(served, "/") == (200, "two"))
    assert "OSError: no database" in served.output


def test_a_start_that_hangs_gives_way_when_what_only_it_imports_changes(tmp_path: Path) -> None:
    """The loop of the new version is blocked: a thread asks for another one."""
    server = "from kissapi import Server\nserver = Server(router=router)\nserver.on_start(words.start)\n"
    write(tmp_path, app=APP + server, words="TEXT = 'one'\ndef start(): pass\n")
    words = [word.replace("app:router", "app:server") for word in command("selectors")]
    with Served(words, cwd=tmp_path, env=environment(tmp_path)) as served:
        hangs = "import os, time\ndef start():\n    open('tried', 'w').close()\n    time.sleep(60)\n"
        (tmp_path / "more.py").write_text(hangs)
        (tmp_path / "words.py").write_text("from more import start\nTEXT = 'two'\n")
        wait_until((tmp_path / "tried").exists)
        assert ask(served, "/") == (200, "one")
        (tmp_path / "more.py").write_text("def start(): pass\n")
        wait_until(lambda: ask(served, "/") == (200, "two"))
    assert "more.py changed: restarting" in served.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_waits_for_a_change_can_be_ended(tmp_path: Path, number: signal.Signals) -> None:
    write(tmp_path, words="TEXT = (\n")
    process = subprocess.Popen(
        command("selectors"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr:
        said = ""
        while "waiting for a change" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(number)
        assert (process.wait(timeout=10), process.stderr.read()) == (0, "")
    assert "SyntaxError: '(' was never closed" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_waits_for_a_change_ends_with_its_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    write(tmp_path)
    served = Served(command("selectors"), cwd=tmp_path, env=environment(tmp_path))
    try:
        text = "import os\nopen('tried', 'w').write(str(os.getpid()))\n1 / 0\n"
        (tmp_path / "words.py").write_text(text)
        wrong = wait_for_process(tmp_path / "tried")
        os.kill(served.process.pid, number)
        assert served.process.wait(timeout=10) in (0, -signal.SIGKILL)
        wait_until(lambda: is_gone(wrong))
    finally:
        served.stop()


def test_one_that_hangs_or_dies_gives_way_to_the_next(tmp_path: Path) -> None:
    with app(tmp_path, "selectors") as served:  # no loop has a part in it
        words = tmp_path / "words.py"
        words.write_text("import pathlib, time\npathlib.Path('here').touch()\ntime.sleep(60)\n")
        wait_until((tmp_path / "here").exists)
        words.write_text("import os\nos._exit(9)\n")
        served.wait_for("the new process ended with exit code 9 before it served; the old one goes on")
        assert ask(served, "/")[1] == "one"
        words.write_text("TEXT = 'four'\n")
        wait_until(lambda: ask(served, "/")[1] == "four")
    assert served.output.count("before it served") == 1

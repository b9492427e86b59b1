"""Folder: what no client gets, however it is spelt, linked or exchanged."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail
from kissapi.extras.files import file, folder, static
from tests.extras.public import SECRET, TEXT
from tests.wire import Wire, fetch, parse_answers


@pytest.fixture(params=["step by step", "resolved"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a path is opened: as most systems can, and as on Windows."""
    if request.param == "resolved":
        monkeypatch.setattr(folder, "_STEPS", False)
    elif not folder._STEPS:
        pytest.skip("this system cannot open names inside of a folder")
    return str(request.param)


ASTRAY = [
    "/../secret.txt",
    "/docs/../../secret.txt",
    "/docs/../text.txt",  # it would lead to something, but no client asks so
    "/./text.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2e/secret.txt",
    "/.%2e/secret.txt",
    "/..%2fsecret.txt",
    "/..%2Fsecret.txt",
    "/%2e%2e%2fsecret.txt",
    "/docs%2f..%2f..%2fsecret.txt",
    "/docs%2Findex.html",
    "/%2fetc/passwd",
    "/%2Fetc%2Fpasswd",
    "//etc/passwd",
    "/docs//index.html",
    "//text.txt",
    "/..%5csecret.txt",
    "/..%5Csecret.txt",
    "/docs%5Cindex.html",
    "/%5c..%5csecret.txt",
    "/%252e%252e/secret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/%uff0e%uff0e/secret.txt",
    "/..;/secret.txt",
    "/..",
    "/.",
    "/%2e",
    "/../public.txt",
    "/.env",
    "/%2eenv",
    "/.git/config",
    "/.git/",
    "/.git",
    "/docs/.hidden",
    "/..secret",
    "/text.txt%00",
    "/text.txt%00.html",
    "/text.txt/",
    "/text.txt/x",
    "/text.txt/../../secret.txt",
    "/nowhere",
    "/nowhere/",
    "/TEXT.TXT",
    "/text.txt.",
    "/text.txt%20",
    "/" + "x" * 300,
    "/" + "x/" * 2500,
    "/~root",
]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("prefix", ["", "/assets"])
def test_what_leads_astray_is_not_there(public: Path, prefix: str) -> None:
    router = static(prefix, public)
    for path in ASTRAY:
        status, _, body = fetch(router, prefix + path)
        # No path at all is 400, before anybody looks for a file: NUL, what is not UTF-8, half an escape.
        impossible = "%00" in path or "%c0" in path or "%u" in path
        assert status == (400 if impossible else 404), path
        assert SECRET not in body, path


@pytest.mark.usefixtures("way")
def test_names_that_look_odd_are_found(public: Path) -> None:
    router = static("/", public)
    (public / "...").mkdir()
    (public / "two..dots").write_bytes(b"two")
    (public / "a b;c=d&e.txt").write_bytes(b"odd")
    assert fetch(router, "/100%25.txt")[2] == b"percent"
    assert fetch(router, "/caf%C3%A9.txt")[2] == b"coffee"
    assert fetch(router, "/%63af%c3%a9.txt")[2] == b"coffee"
    assert fetch(router, "/two..dots")[2] == b"two"
    assert fetch(router, "/a%20b;c=d&e.txt")[2] == b"odd"
    assert fetch(router, "/docs/deep/page.html")[2] == b"deep"
    assert fetch(router, "/docs/deep")[0] == 404


@pytest.mark.usefixtures("way")
def test_links_are_followed_inside_only(public: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/page.html").write_bytes(SECRET)
    for name, target in {
        "in.txt": "text.txt",
        "docs/up.txt": "../text.txt",
        "absolute.txt": public / "text.txt",
        "papers": "docs",
        "chain": "papers",
        "home": ".",
        "out.txt": "../secret.txt",
        "out": "../outside",
        "root": "/",
        "beside": "../public.txt",
        "zero": "/dev/zero",
        "itself": "itself",
        "broken": "nowhere",
        "..data": "docs",
    }.items():
        (public / name).symlink_to(target)
    router = static("/", public)
    for path in ("/in.txt", "/docs/up.txt", "/absolute.txt", "/papers/up.txt", "/home/home/text.txt"):
        assert fetch(router, path)[::2] == (200, TEXT), path
    assert fetch(router, "/chain/deep/page.html")[2] == b"deep"
    assert fetch(router, "/papers")[1]["location"] == "./papers/"
    # As volumes of Kubernetes are made: only the name that is asked for must not begin with a dot.
    (public / "config.html").symlink_to("..data/index.html")
    assert fetch(router, "/config.html")[2] == b"<h1>docs</h1>"
    inside = str(public).lstrip("/")
    for path in (
        "/out.txt",
        "/out",
        "/out/",
        "/out/page.html",
        "/root/etc/passwd",
        f"/root/{inside}/../secret.txt",
        "/beside",
        "/zero",
        "/itself",
        "/broken",
        "/itself/x",
    ):
        status, _, body = fetch(router, path)
        assert status == 404, path
        assert SECRET not in body


def test_a_link_put_there_between_two_looks_is_not_followed(
    public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `realpath` has found good is exchanged for a link that leads out, before it is opened."""
    if not folder._STEPS:
        pytest.skip("this system cannot open names inside of a folder")
    (public / "papers").symlink_to("docs")
    resolve = os.path.realpath

    def too_slow(path: str, **options: Any) -> str:
        real = str(resolve(path, **options))
        if options:
            shutil.rmtree(public / "docs")
            (public / "docs").symlink_to(tmp_path)
        return real

    monkeypatch.setattr(os.path, "realpath", too_slow)
    (tmp_path / "index.html").write_bytes(SECRET)
    assert fetch(static("/", public), "/papers/index.html")[0] == 404


@pytest.mark.usefixtures("way")
def test_what_is_no_regular_file_is_not_there(public: Path) -> None:
    os.mkfifo(public / "pipe")
    os.mkfifo(public / "index.htm")
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.getcwd()
        os.chdir(public)  # the address of a socket is short
        try:
            sock.bind("socket")
        finally:
            os.chdir(here)
        for path in ("/pipe", "/socket", "/pipe/", "/pipe/x", "/socket/x"):
            assert fetch(static("/", public), path)[0] == 404
        for path in ("pipe", "socket", "docs", "nowhere", "text.txt/x", "nul\0", "x" * 300, "\ud800"):
            with pytest.raises(Fail) as caught:
                file(public / path)
            assert caught.value.status == 404


def test_what_may_not_be_read_is_403(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    router = static("/", public)
    monkeypatch.setattr(os, "open", refuse)
    assert fetch(router, "/text.txt")[::2] == (403, b"Forbidden")


def test_no_descriptors_left_is_an_error_of_ours(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(24, "Too many open files")

    wire = Wire(static("/", public))
    monkeypatch.setattr(os, "open", refuse)
    wire.send(b"GET /text.txt HTTP/1.1\r\nHost: a\r\n\r\n")
    assert parse_answers(wire.received)[0][0] == 500
    assert "Too many open files" in "\n".join(wire.lines)

"""Files: what a client gets of one: all, a part, nothing new; and what nobody gets, however it is spelt."""

from __future__ import annotations

import gzip
import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, Server
from kissapi.extras import files, folder, sendfile
from kissapi.extras.conditions import read_date
from kissapi.extras.files import codings, file, static
from kissapi.extras.media_types import type_of
from tests.wire import Wire, exchange, parse_answers

MOMENT = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
TEXT = b"0123456789" * 10
SECRET = b"the secret"
BIG = 3_000_001  # more than a socket takes at once, and no round number


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A folder to be served, with a secret beside it."""
    root = tmp_path / "public"
    for name, data in {
        "text.txt": TEXT,
        "index.html": b"<h1>home</h1>",
        "docs/index.html": b"<h1>docs</h1>",
        "docs/deep/page.html": b"deep",
        "empty/nothing.txt": b"",
        "app.js": b"let app = 1;" * 20,
        "100%.txt": b"percent",
        "caf\u00e9.txt": b"coffee",
        "a:b/index.html": b"colon",
        ".env": SECRET,
        ".git/config": SECRET,
        "docs/.hidden": SECRET,
        "..secret": SECRET,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (MOMENT, MOMENT))
    (root / "folder.d").mkdir()
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "public.txt").write_bytes(SECRET)
    return root


Answer = tuple[int, dict[str, str], bytes]


def ask(router: Router, path: str, *fields: str, method: str = "GET", parser_class: Any = None) -> Answer:
    """The one answer to a request for `path`."""
    message = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()
    options = {} if parser_class is None else {"parser_class": parser_class}
    (answer,) = parse_answers(exchange(router, message, **options), [method])
    return answer


def open_files(below: Path) -> list[str]:
    """The files below a folder that this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if name.startswith(str(below)):
            found.append(name)
    return found


@pytest.fixture(autouse=True)
def nothing_stays_open(tmp_path: Path) -> Iterator[None]:
    yield
    if os.path.isdir("/proc/self/fd"):
        assert open_files(tmp_path) == []


@pytest.fixture(params=["asyncio", "uvloop", "selectors"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve(backend: str, serve: Callable[..., Server]) -> Callable[..., Server]:
    """The one of all tests, for uvloop besides: the kernel's writing is arranged with each loop anew."""

    def start(router: Router, **options: Any) -> Server:
        if backend == "uvloop":
            uvloop = pytest.importorskip("uvloop")
            options = {"backend": "asyncio", "loop_factory": uvloop.new_event_loop, **options}
        return serve(router, **options)

    return start


# What is answered


def test_a_file(public: Path, parser_class: Any) -> None:
    status, fields, body = ask(static("/", public), "/text.txt", parser_class=parser_class)
    assert (status, body) == (200, TEXT)
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert fields["content-length"] == "100"
    assert fields["last-modified"] == DATE
    assert fields["accept-ranges"] == "bytes"
    assert fields["etag"].strip('"').isascii()
    assert fields["etag"][0] == fields["etag"][-1] == '"'
    assert "cache-control" not in fields


def test_head_is_get_without_the_body(public: Path, parser_class: Any) -> None:
    (public / "big.bin").write_bytes(b"x" * 100_000)
    for path in ("/text.txt", "/big.bin", "/empty/nothing.txt", "/", "/nowhere", "/docs"):
        status, fields, _ = ask(static("/", public), path, parser_class=parser_class)
        answer = ask(static("/", public), path, "Range: bytes=1-2", method="HEAD", parser_class=parser_class)
        assert answer == (status, fields, b"")


def test_the_etag_changes_with_the_file(public: Path) -> None:
    router = static("/", public)
    tags = [ask(router, "/text.txt")[1]["etag"]]
    path = public / "text.txt"
    path.write_bytes(TEXT + b"x")
    os.utime(path, (MOMENT, MOMENT))
    tags.append(ask(router, "/text.txt")[1]["etag"])
    os.utime(path, ns=(MOMENT, MOMENT * 10**9 + 1))
    tags.append(ask(router, "/text.txt")[1]["etag"])
    assert len(set(tags)) == 3


def test_a_time_to_come_is_none(public: Path) -> None:
    ahead = time.time() + 1e6
    os.utime(public / "text.txt", (ahead, ahead))
    modified = read_date(ask(static("/", public), "/text.txt")[1]["last-modified"])
    assert modified is not None
    assert modified <= time.time()


def test_cache_control_is_sent_with_what_may_be_kept(public: Path) -> None:
    router = static("/", public, cache_control="max-age=60")
    etag = ask(router, "/text.txt")[1]["etag"]
    assert ask(router, "/text.txt")[1]["cache-control"] == "max-age=60"
    assert ask(router, "/text.txt", f"If-None-Match: {etag}")[1]["cache-control"] == "max-age=60"
    assert ask(router, "/text.txt", "Range: bytes=0-1")[1]["cache-control"] == "max-age=60"
    for field in ("Range: bytes=100-", 'If-Match: "x"'):
        assert "cache-control" not in ask(router, "/text.txt", field)[1]
    assert "cache-control" not in ask(router, "/nowhere")[1]


# Conditions (RFC 9110 §13)

BEFORE, AFTER = "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
CONDITIONS = [
    (["If-None-Match: {}"], 304),
    (["If-None-Match: W/{}"], 304),
    (["If-None-Match: *"], 304),
    (['If-None-Match: "a", {}, "b"'], 304),
    (['If-None-Match: "a,b",W/{}'], 304),
    (['If-None-Match: "a"', "If-None-Match: {}"], 304),
    (['If-None-Match: "a"'], 200),
    (["If-None-Match: nonsense"], 200),
    (["If-None-Match:"], 200),
    ([f"If-Modified-Since: {DATE}"], 304),
    ([f"If-Modified-Since: {AFTER}"], 304),
    (["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], 304),
    (["If-Modified-Since: Sun Nov  6 08:49:37 1994"], 304),
    ([f"If-Modified-Since: {BEFORE}"], 200),
    (["If-Modified-Since: yesterday"], 200),
    (['If-None-Match: "a"', f"If-Modified-Since: {AFTER}"], 200),  # the tag says more than the time
    (["If-None-Match: {}", f"If-Modified-Since: {BEFORE}"], 304),
    (["If-Match: {}"], 200),
    (['If-Match: "a", {}'], 200),
    (["If-Match: *"], 200),
    (["If-Match: W/{}"], 412),  # compared strongly
    (['If-Match: "a"'], 412),
    ([f"If-Unmodified-Since: {DATE}"], 200),
    ([f"If-Unmodified-Since: {BEFORE}"], 412),
    (["If-Unmodified-Since: yesterday"], 200),
    (["If-Match: {}", f"If-Unmodified-Since: {BEFORE}"], 200),
    (['If-Match: "a"', "If-None-Match: {}"], 412),
    (["If-Match: {}", "If-None-Match: {}"], 304),
    (["Range: bytes=0-1", "If-None-Match: {}"], 304),
    (["Range: bytes=0-1", 'If-Match: "a"'], 412),
    (["Range: bytes=0-1", "If-Match: {}"], 206),
]


@pytest.mark.parametrize(("fields", "expected"), CONDITIONS)
def test_conditions(public: Path, fields: list[str], expected: int) -> None:
    router = static("/", public)
    etag = ask(router, "/text.txt")[1]["etag"]
    fields = [field.replace("{}", etag) for field in fields]
    for method in ("GET", "HEAD"):
        status, answered, body = ask(router, "/text.txt", *fields, method=method)
        assert status == (200 if (method, expected) == ("HEAD", 206) else expected)
        if status == 304:
            assert answered["etag"] == etag
            assert not {"content-type", "content-length", "last-modified"} & answered.keys()
            assert body == b""
        if status == 412:
            assert "etag" not in answered
            assert method == "HEAD" or body == b"Precondition Failed"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "784111777",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert read_date(text) is None


def test_dates_with_two_digits_for_the_year_are_not_far_ahead() -> None:
    now = time.gmtime().tm_year
    for year in (now - 49, now - 1, now, now + 49):
        short = read_date(f"Friday, 01-Jan-{year % 100:02} 00:00:00 GMT")
        assert short == read_date(f"Fri, 01 Jan {year} 00:00:00 GMT")


# Ranges (RFC 9110 §14)

RANGES = [
    ("bytes=0-9", 0, 10),
    ("bytes=10-19", 10, 20),
    ("bytes=0-0", 0, 1),
    ("bytes=99-99", 99, 100),
    ("bytes=90-", 90, 100),
    ("bytes=0-", 0, 100),
    ("bytes=90-1000", 90, 100),
    ("bytes=-10", 90, 100),
    ("bytes=-1000", 0, 100),
    ("Bytes=5-6", 5, 7),
    ("bytes=000000000000000005-6", 5, 7),
]
WHOLE = [
    "bytes=",
    "bytes=-",
    "bytes=9-8",
    "bytes=a-b",
    "bytes=0-1,3-4",
    "bytes=0-0,-1",
    "bytes=+1-2",
    "bytes=1 - 2",
    "bytes=\u0661-2",
    "lines=0-1",
    "0-1",
    "bytes=9999999999999999999-",  # nobody has so much, and nobody needs to count so far
]


@pytest.mark.parametrize(("text", "start", "stop"), RANGES)
def test_a_range(public: Path, parser_class: Any, text: str, start: int, stop: int) -> None:
    status, fields, body = ask(static("/", public), "/text.txt", f"Range: {text}", parser_class=parser_class)
    assert (status, body) == (206, TEXT[start:stop])
    assert fields["content-range"] == f"bytes {start}-{stop - 1}/100"
    assert fields["content-length"] == str(stop - start)
    assert {"etag", "last-modified", "content-type"} <= fields.keys()


@pytest.mark.parametrize("text", WHOLE)
def test_what_is_no_single_range_is_the_whole(public: Path, text: str) -> None:
    status, fields, body = ask(static("/", public), "/text.txt", f"Range: {text}")
    assert (status, body) == (200, TEXT)
    assert "content-range" not in fields


@pytest.mark.parametrize("text", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_behind_the_end_is_416(public: Path, text: str) -> None:
    status, fields, body = ask(static("/", public), "/text.txt", f"Range: {text}")
    assert (status, body) == (416, b"Range Not Satisfiable")
    assert fields["content-range"] == "bytes */100"
    assert fields["content-type"] == "text/plain"
    assert not {"etag", "last-modified"} & fields.keys()


@pytest.mark.parametrize(("text", "expected"), [("bytes=0-", 416), ("bytes=-1", 200), ("bytes=-0", 416)])
def test_a_range_of_nothing(public: Path, text: str, expected: int) -> None:
    assert ask(static("/", public), "/empty/nothing.txt", f"Range: {text}")[0] == expected


def test_a_repeated_range_is_the_whole(public: Path) -> None:
    assert ask(static("/", public), "/text.txt", "Range: bytes=0-1", "Range: bytes=2-3")[0] == 200


def test_if_range(public: Path) -> None:
    router = static("/", public)
    etag = ask(router, "/text.txt")[1]["etag"]

    def status(validator: str) -> int:
        return ask(router, "/text.txt", "Range: bytes=0-1", f"If-Range: {validator}")[0]

    assert status(etag) == 206
    assert status(f"W/{etag}") == 200  # only a strong one is good enough
    assert status('"other"') == 200
    assert status(DATE) == 206
    assert status(BEFORE) == status(AFTER) == 200
    assert status("nonsense") == 200
    assert ask(router, "/text.txt", "Range: bytes=500-", 'If-Range: "other"')[0] == 200


def test_if_range_with_a_time_that_proves_nothing_yet(public: Path) -> None:
    """A file that was written this very second may be written once more in it."""
    now = int(time.time()) + 1
    os.utime(public / "text.txt", (now, now))
    when = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
    assert ask(static("/", public), "/text.txt", "Range: bytes=0-1", f"If-Range: {when}")[0] == 200


# Folders


def test_a_folder_is_its_index(public: Path) -> None:
    router = static("/", public)
    assert ask(router, "/")[2] == b"<h1>home</h1>"
    assert ask(router, "/docs/")[2] == b"<h1>docs</h1>"
    assert ask(router, "/docs/")[1]["content-type"] == "text/html; charset=utf-8"
    assert ask(static("/", public, index="text.txt"), "/")[2] == TEXT


def test_without_its_slash_a_folder_redirects(public: Path) -> None:
    router = Router()
    router.mount("/", static("/assets", public))
    for path, location in {
        "/assets": "./assets/",
        "/assets/docs": "./docs/",
        "/assets/docs?a=1&b": "./docs/?a=1&b",
        "/assets/a:b": "./a:b/",  # not a URL with the scheme a
        "/assets/d%6Fcs": "./docs/",
    }.items():
        status, fields, _ = ask(router, path)
        assert (status, fields["location"]) == (301, location)


@pytest.mark.parametrize("path", ["/empty", "/empty/", "/folder.d", "/folder.d/", "/docs/index.html/"])
def test_a_folder_without_an_index_is_not_there(public: Path, path: str) -> None:
    assert ask(static("/", public), path)[0] == 404


def test_an_index_that_is_a_folder_is_none(public: Path) -> None:
    (public / "empty/index.html").mkdir()
    for path in ("/empty", "/empty/"):
        assert ask(static("/", public), path)[0] == 404


def test_without_an_index_no_folder_answers(public: Path) -> None:
    router = static("/", public, index=None)
    for path in ("/", "/docs", "/docs/", "/text.txt/"):
        assert ask(router, path)[0] == 404
    assert ask(router, "/docs/index.html")[0] == 200


def test_it_is_a_router(public: Path) -> None:
    root = Router()
    root.mount("/", static("/assets", public))
    root["/{tenant}/files"] = static("/", public)

    @root.get("/")
    async def hello(req: Request) -> str:
        return "hello"

    assert ask(root, "/")[2] == b"hello"
    assert ask(root, "/assets/text.txt")[2] == TEXT
    assert ask(root, "/assets/")[2] == b"<h1>home</h1>"
    assert ask(root, "/red/files/text.txt")[2] == TEXT
    assert ask(root, "/a%2Fb/files/text.txt")[2] == TEXT  # the slash is the prefix's business
    status, fields, _ = ask(root, "/assets/text.txt", method="DELETE")
    assert (status, fields["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_hooks_and_error_pages_are_those_of_a_router(public: Path) -> None:
    site = static("/", public)

    @site.before
    async def ask_who(req: Request) -> None:
        if req.path.startswith("/docs"):
            raise Fail(401, "who are you?")

    @site.after
    async def mark(req: Request, result: Any) -> None:
        result.headers["X-Mark"] = "1"

    @site.on_error(404)
    async def app(req: Request, error: Fail) -> Response:
        return file(public / "index.html")

    assert ask(site, "/docs/")[0] == 401
    etag = ask(site, "/text.txt")[1]["etag"]
    for field in ("X: y", f"If-None-Match: {etag}", "Range: bytes=0-1", "Range: bytes=100-", 'If-Match: "x"'):
        assert ask(site, "/text.txt", field)[1]["x-mark"] == "1"
    assert ask(site, "/some/page/of/the/app")[::2] == (200, b"<h1>home</h1>")


def test_a_folder_that_is_not_there_is_an_error_at_once(tmp_path: Path, public: Path) -> None:
    for path in (tmp_path / "nowhere", public / "text.txt"):
        with pytest.raises(NotADirectoryError, match="there is no folder"):
            static("/", path)
    with pytest.raises(TypeError, match="a prefix is a string"):
        static(public, "/assets")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="control characters"):
        static("/", public, cache_control="no-store\r\nX: y")


def test_the_folder_is_that_of_the_start_and_may_be_exchanged(
    public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "current").symlink_to("public")
    routers = [static("/", "public"), static("/", "current")]
    monkeypatch.chdir("/")
    assert [ask(router, "/text.txt")[2] for router in routers] == [TEXT, TEXT]
    (tmp_path / "next").mkdir()
    (tmp_path / "next/text.txt").write_bytes(b"next")
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("next")
    assert [ask(router, "/text.txt")[2] for router in routers] == [TEXT, b"next"]


# What nobody gets


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


@pytest.mark.parametrize("path", ASTRAY)
@pytest.mark.parametrize("prefix", ["", "/assets"])
@pytest.mark.usefixtures("way")
def test_what_leads_astray_is_not_there(public: Path, path: str, prefix: str) -> None:
    router = Router()
    router.mount("/", static(prefix or "/", public))
    status, _, body = ask(router, prefix + path)
    # No path at all is 400, before anybody looks for a file: NUL, what is not UTF-8, half an escape.
    impossible = "%00" in path or "%c0" in path or "%u" in path
    assert status == (400 if impossible else 404)
    assert SECRET not in body


@pytest.mark.usefixtures("way")
def test_names_that_look_odd_are_found(public: Path) -> None:
    router = static("/", public)
    (public / "...").mkdir()
    (public / "two..dots").write_bytes(b"two")
    (public / "a b;c=d&e.txt").write_bytes(b"odd")
    assert ask(router, "/100%25.txt")[2] == b"percent"
    assert ask(router, "/caf%C3%A9.txt")[2] == b"coffee"
    assert ask(router, "/%63af%c3%a9.txt")[2] == b"coffee"
    assert ask(router, "/two..dots")[2] == b"two"
    assert ask(router, "/a%20b;c=d&e.txt")[2] == b"odd"
    assert ask(router, "/docs/deep/page.html")[2] == b"deep"
    assert ask(router, "/docs/deep")[0] == 404


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
        assert ask(router, path)[::2] == (200, TEXT), path
    assert ask(router, "/chain/deep/page.html")[2] == b"deep"
    assert ask(router, "/papers")[1]["location"] == "./papers/"
    # As volumes of Kubernetes are made: only the name that is asked for must not begin with a dot.
    (public / "config.html").symlink_to("..data/index.html")
    assert ask(router, "/config.html")[2] == b"<h1>docs</h1>"
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
        status, _, body = ask(router, path)
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
    assert ask(static("/", public), "/papers/index.html")[0] == 404


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
            assert ask(static("/", public), path)[0] == 404
        for path in ("pipe", "socket", "docs", "nowhere", "text.txt/x", "nul\0", "x" * 300, "\ud800"):
            with pytest.raises(Fail) as caught:
                file(public / path)
            assert caught.value.status == 404


def test_what_may_not_be_read_is_403(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    router = static("/", public)
    monkeypatch.setattr(os, "open", refuse)
    assert ask(router, "/text.txt")[::2] == (403, b"Forbidden")


def test_no_descriptors_left_is_an_error_of_ours(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(24, "Too many open files")

    wire = Wire(static("/", public))
    monkeypatch.setattr(os, "open", refuse)
    wire.send(b"GET /text.txt HTTP/1.1\r\nHost: a\r\n\r\n")
    assert parse_answers(wire.received)[0][0] == 500
    assert "Too many open files" in "\n".join(wire.lines)


# Compressed ones


def compressed(public: Path, *endings: str, age: int = 0) -> None:
    for ending in endings:
        path = public / f"app.js{ending}"
        path.write_bytes(f"app{ending}".encode())
        os.utime(path, (MOMENT - age, MOMENT - age))


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("GZIP ; Q=0.5", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "br"),
        ("*;q=0.1, br;q=0", "zstd"),
        ("br;q=0", None),
        ("gzip;q=0.000", None),
        ("*;q=0", None),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("gzip;q=nan", None),
        ("gzip;q=", None),
        ("gzip;q=much, zstd", "zstd"),
        ("", None),
        (",,;,", None),
    ],
)
def test_the_coding_that_the_client_likes_best(public: Path, accepted: str, coding: str | None) -> None:
    compressed(public, ".br", ".zst", ".gz")
    status, fields, body = ask(static("/", public), "/app.js", f"Accept-Encoding: {accepted}")
    plain = (public / "app.js").read_bytes()
    assert (status, body) == (200, f"app{files.CODINGS[coding]}".encode() if coding else plain)
    assert fields.get("content-encoding") == coding
    assert fields["content-type"] == "text/javascript; charset=utf-8"
    assert fields["vary"] == "Accept-Encoding"


def test_each_coding_has_a_tag_of_its_own(public: Path) -> None:
    router = static("/", public)
    compressed(public, ".br", ".gz")
    for ending in (".br", ".gz"):
        (public / f"app.js{ending}").write_bytes((public / "app.js").read_bytes())  # even of one size
        os.utime(public / f"app.js{ending}", (MOMENT, MOMENT))
    tags = [ask(router, "/app.js", *field)[1]["etag"] for field in ([], ["Accept-Encoding: br"])]
    tags.append(ask(router, "/app.js", "Accept-Encoding: gzip")[1]["etag"])
    assert len(set(tags)) == 3
    for tag, coding in zip(tags, ("identity", "br", "gzip"), strict=True):
        fields = [f"Accept-Encoding: {coding}", f"If-None-Match: {tag}"]
        status, answered, _ = ask(router, "/app.js", *fields)
        assert (status, answered["vary"]) == (304, "Accept-Encoding")
        assert "content-encoding" not in answered
        assert ask(router, "/app.js", f"If-None-Match: {tag}", "Accept-Encoding: zstd, x")[0] == (
            304 if coding == "identity" else 200
        )


def test_a_range_is_one_of_what_is_sent(public: Path) -> None:
    compressed(public, ".gz")
    status, fields, body = ask(
        static("/", public), "/app.js", "Accept-Encoding: gzip", "Range: bytes=3-", method="GET"
    )
    assert (status, body, fields["content-encoding"]) == (206, b".gz", "gzip")


def test_an_older_one_is_not_of_this_file(public: Path) -> None:
    compressed(public, ".br", age=1)
    compressed(public, ".gz")
    fields = ask(static("/", public), "/app.js", "Accept-Encoding: br, gzip")[1]
    assert fields["content-encoding"] == "gzip"


def test_tools_that_drop_fractions_of_the_time_are_forgiven(public: Path) -> None:
    compressed(public, ".gz")
    os.utime(public / "app.js", ns=(0, MOMENT * 10**9 + 999_999_999))
    assert "content-encoding" in ask(static("/", public), "/app.js", "Accept-Encoding: gzip")[1]


def test_a_compressed_one_is_found_as_safely_as_any(public: Path, tmp_path: Path) -> None:
    (public / "app.js.br").mkdir()
    (public / "app.js.zst").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(public / "app.js.gz")
    status, fields, body = ask(static("/", public), "/app.js", "Accept-Encoding: br, zstd, gzip")
    assert (status, body) == (200, (public / "app.js").read_bytes())
    assert "content-encoding" not in fields


def test_without_its_file_a_compressed_one_is_itself(public: Path) -> None:
    (public / "only.js.gz").write_bytes(gzip.compress(b"only"))
    router = static("/", public)
    assert ask(router, "/only.js", "Accept-Encoding: gzip")[0] == 404
    fields = ask(router, "/only.js.gz", "Accept-Encoding: gzip")[1]
    assert fields["content-type"] == "application/gzip"
    assert "content-encoding" not in fields


def test_where_there_is_nothing_to_win_nothing_varies(public: Path) -> None:
    (public / "photo.jpg").write_bytes(b"jpg")
    (public / "photo.jpg.gz").write_bytes(b"gz")
    fields = ask(static("/", public), "/photo.jpg", "Accept-Encoding: gzip")[1]
    assert not {"vary", "content-encoding"} & fields.keys()
    compressed(public, ".gz")
    fields = ask(static("/", public, precompressed=False), "/app.js", "Accept-Encoding: gzip")[1]
    assert not {"vary", "content-encoding"} & fields.keys()


def test_codings_of_a_long_field_are_few() -> None:
    assert codings("gzip," * 10_000) == ("gzip",)


# One file


def answering(make: Callable[[], Any]) -> Router:
    router = Router()

    @router.route("/", methods=["GET", "POST"])
    async def give(req: Request) -> Any:
        return make()

    return router


def test_file_answers_as_static_does(public: Path) -> None:
    router = answering(lambda: file(public / "text.txt", cache_control="private"))
    status, fields, body = ask(router, "/")
    assert (status, body, fields["cache-control"]) == (200, TEXT, "private")
    assert ask(router, "/", f"If-None-Match: {fields['etag']}")[0] == 304
    assert ask(router, "/", "Range: bytes=-3")[2] == b"789"
    assert "vary" not in fields


def test_conditions_are_of_get(public: Path) -> None:
    router = answering(lambda: file(public / "text.txt"))
    for field in ("If-None-Match: *", "Range: bytes=0-1", 'If-Match: "x"'):
        status, _, body = ask(router, "/", field, "Content-Length: 0", method="POST")
        assert (status, body) == (200, TEXT)


def test_another_status_is_not_conditional(public: Path) -> None:
    def missing() -> Response:
        page = file(public / "index.html")
        page.status = 404
        return page

    for field in ("If-None-Match: *", "Range: bytes=0-1"):
        assert ask(answering(missing), "/", field)[::2] == (404, b"<h1>home</h1>")


def test_file_is_what_the_handler_says_it_is(public: Path) -> None:
    assert ask(answering(lambda: file(public / ".env")), "/")[2] == SECRET  # nobody else chose it
    fields = ask(answering(lambda: file(public / "app.js", content_type="text/x-own")), "/")[1]
    assert fields["content-type"] == "text/x-own"
    assert ask(answering(lambda: file(str(public / "text.txt"))), "/")[2] == TEXT


def test_a_file_that_is_not_there_is_404(public: Path) -> None:
    assert ask(answering(lambda: file(public / "nowhere")), "/")[::2] == (404, b"Not Found")
    with pytest.raises(TypeError):
        file(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("my report (1).pdf", 'attachment; filename="my report (1).pdf"'),
        ("caf\u00e9.pdf", "attachment; filename=\"caf_.pdf\"; filename*=UTF-8''caf%C3%A9.pdf"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ('a"b\\c.txt', "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%5Cc.txt"),
        ("a\r\nX: y", "attachment; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
        ("../x", "attachment; filename=\".._x\"; filename*=UTF-8''..%2Fx"),
        ("\udcff.bin", "attachment; filename=\"_.bin\"; filename*=UTF-8''%FF.bin"),
    ],
)
def test_a_download_has_a_name(public: Path, name: str, field: str) -> None:
    router = answering(lambda: file(public / "text.txt", download=name))
    assert ask(router, "/")[1]["content-disposition"] == field


@pytest.mark.parametrize("option", ["content_type", "cache_control"])
def test_a_field_that_would_split_the_answer_is_refused(public: Path, option: str) -> None:
    options: Any = {option: "a\r\nX: y"}
    with pytest.raises(ValueError, match="control characters"):
        file(public / "text.txt", **options)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.tar.gz", "application/gzip"),
        ("A.PNG", "image/png"),
        ("a.svg", "image/svg+xml"),
        ("a.json", "application/json"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.py", "text/x-python; charset=utf-8"),  # known to mimetypes
        ("a.nobody-knows", "application/octet-stream"),
        ("README", "application/octet-stream"),
        ("css", "application/octet-stream"),
        ("folder.d/css", "application/octet-stream"),
        ("a.", "application/octet-stream"),
    ],
)
def test_the_name_tells_the_type(name: str, kind: str) -> None:
    assert type_of(name) == kind


def test_an_answer_that_is_given_twice_says_so(public: Path) -> None:
    once = file(public / "text.txt")
    wire = Wire(answering(lambda: once))
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert [status for status, _, _ in parse_answers(wire.received)] == [200, 500]
    assert "file() answers one request" in "\n".join(wire.lines)


def test_an_answer_that_is_not_given_closes_its_file(public: Path) -> None:
    """A hook has another, or fails; the handler fails. `nothing_stays_open` looks on."""
    router = answering(lambda: file(public / "text.txt"))

    @router.after
    async def other(req: Request, result: Response) -> Any:
        if "other" in req.query:
            return Response("another")
        if "body" in req.query:
            result.body = "another body"
            return None
        raise ValueError("a hook that fails")

    assert ask(router, "/?other")[::2] == (200, b"another")
    assert ask(router, "/?body", "Range: bytes=0-1")[::2] == (200, b"another body")
    assert ask(router, "/")[0] == 500
    assert open_files(public) == []


def test_a_file_that_shrinks_at_once_is_500(public: Path) -> None:
    def shrunk() -> Response:
        answer = file(public / "text.txt")
        (public / "text.txt").write_bytes(b"less")
        return answer

    wire = Wire(answering(shrunk)).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert parse_answers(wire.received)[0][0] == 500
    assert "the file ended after 4 of 100 bytes" in "\n".join(wire.lines)


# Big ones, over a wire that does not let the kernel write


def big(public: Path, size: int = BIG) -> bytes:
    data = os.urandom(1000) * (size // 1000 + 1)
    (public / "big.bin").write_bytes(data[:size])
    return data[:size]


GET_BIG = b"GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
GET_TEXT = b"GET /text.txt HTTP/1.1\r\nHost: a\r\n\r\n"


def test_no_more_is_read_than_the_client_takes(public: Path, parser_class: Any) -> None:
    data = big(public)
    wire = Wire(static("/", public), parser_class, room=100).send(GET_BIG + GET_TEXT)
    assert len(open_files(public)) == 1
    while len(wire.received) < BIG:
        assert wire.transport.get_write_buffer_size() <= sendfile.PIECE + 1000
        wire.take(100_000)
    wire.take()
    assert [body for _, _, body in parse_answers(wire.received)] == [data, TEXT]


@pytest.mark.parametrize("send", [GET_BIG, b"GET /big.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"])
def test_its_length_is_told(public: Path, send: bytes) -> None:
    big(public)
    (answer,) = parse_answers(Wire(static("/", public)).send(send).received)
    assert answer[1]["content-length"] == str(BIG)
    assert "transfer-encoding" not in answer[1]


def test_a_file_that_shrinks_meanwhile_cuts_the_connection(public: Path) -> None:
    big(public)
    wire = Wire(static("/", public), room=1000).send(GET_BIG)
    os.truncate(public / "big.bin", sendfile.PIECE + 10)
    wire.take()
    assert wire.transport.aborted
    assert len(wire.received) < BIG
    assert f"the body ended after {sendfile.PIECE + 10} of {BIG} bytes" in "\n".join(wire.lines)


def test_a_file_that_grows_meanwhile_is_sent_as_promised(public: Path) -> None:
    data = big(public)
    wire = Wire(static("/", public), room=1000).send(GET_BIG + GET_TEXT)
    with open(public / "big.bin", "ab") as more:
        more.write(b"more" * 1000)
    wire.take()
    assert [body for _, _, body in parse_answers(wire.received)] == [data, TEXT]


def test_a_file_that_is_exchanged_meanwhile_is_sent_as_it_was(public: Path) -> None:
    data = big(public)
    wire = Wire(static("/", public), room=1000).send(GET_BIG)
    (public / "other").write_bytes(b"other")
    os.replace(public / "other", public / "big.bin")
    wire.take()
    assert parse_answers(wire.received)[0][2] == data


@pytest.mark.parametrize("end", [Wire.lose, lambda wire: wire.wait(100)], ids=["leaves", "takes nothing"])
def test_the_file_is_closed_when_the_client(public: Path, end: Callable[[Wire], Wire]) -> None:
    big(public)
    wire = Wire(static("/", public), room=1000).send(GET_BIG)
    assert len(open_files(public)) == 1
    end(wire)
    assert wire.transport.closing
    assert open_files(public) == []


# Over real sockets, where the kernel writes


@pytest.fixture(params=["by the kernel", "by reading", "by reading, as the kernel will not"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who sends. What the last one is about: file systems that cannot."""
    calls: list[int] = []
    real = getattr(os, "sendfile", None)

    def unable(*_: Any) -> int:
        calls.append(1)
        raise OSError(22, "Invalid argument")

    if request.param == "by reading":
        monkeypatch.delattr(os, "sendfile", raising=False)
    elif real is None:
        pytest.skip("this system has no sendfile")
    else:
        monkeypatch.setattr(os, "sendfile", unable if "will not" in request.param else counted(calls, real))
    yield request.param
    assert bool(calls) == (request.param != "by reading")


def counted(calls: list[int], function: Callable[..., int]) -> Callable[..., int]:
    def count(*arguments: Any) -> int:
        calls.append(1)
        return function(*arguments)

    return count


def connect(server: Server, **options: Any) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10, **options)


def fetch(client: http.client.HTTPConnection, path: str, **fields: str) -> bytes:
    client.request("GET", path, headers={name.replace("_", "-"): value for name, value in fields.items()})
    return client.getresponse().read()


def until(fact: Callable[[], Any], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.002)


@pytest.mark.usefixtures("by")
def test_a_big_file_arrives(public: Path, serve: Callable[..., Server], parser_class: Any) -> None:
    data = big(public)
    client = connect(serve(static("/", public), parser_class=parser_class))
    for _ in range(3):
        assert fetch(client, "/big.bin") == data
        assert fetch(client, "/text.txt") == TEXT
        assert fetch(client, "/big.bin", Range=f"bytes=1000001-{BIG}") == data[1000001:]
        assert fetch(client, "/big.bin", Range="bytes=-100000") == data[-100000:]
    client.close()


def test_slow_readers_and_quick_ones_at_once(public: Path, serve: Callable[..., Server]) -> None:
    data = big(public)
    server = serve(static("/", public))
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(3)]
    for client in slow:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(GET_BIG + b"GET /text.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    quick = connect(server)
    assert fetch(quick, "/text.txt") == TEXT
    assert fetch(quick, "/big.bin") == data
    quick.close()
    for client in slow:
        received = b"".join(iter(lambda: client.recv(100_000), b""))  # noqa: B023
        client.close()
        assert [body for _, _, body in parse_answers(received)] == [data, TEXT]


def test_behind_answers_that_nobody_takes_yet(public: Path, serve: Callable[..., Server]) -> None:
    data = big(public)
    (public / "middle.bin").write_bytes(data[:60_000])
    get_middle = b"GET /middle.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /text.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serve(static("/", public)).port), timeout=10) as client:
        client.sendall(get_middle * 60 + GET_BIG + get_middle + GET_BIG + last)
        time.sleep(0.05)  # the server is stuck by now
        received = b"".join(iter(lambda: client.recv(1 << 20), b""))
    bodies = [body for _, _, body in parse_answers(received)]
    assert bodies == [data[:60_000]] * 60 + [data, data[:60_000], data, TEXT]


@pytest.fixture
def endless(public: Path) -> int:
    """Size of a file that is more than the buffers of any connection."""
    with open(public / "big.bin", "wb") as sparse:
        return sparse.truncate(64 << 20)


def stuck(server: Server, public: Path) -> socket.socket:
    """A client that has asked for the big file, and taken as much of it as fits without its doing."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    client.sendall(GET_BIG)
    assert client.recv(8) == b"HTTP/1.1"
    time.sleep(0.05)
    assert len(open_files(public)) == 1
    return client


@pytest.mark.usefixtures("by")
def test_a_client_that_takes_nothing_is_left(
    public: Path, endless: int, serve: Callable[..., Server], capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(static("/", public), write_timeout=0.2, access_log=True)
    client = stuck(server, public)
    until(lambda: not open_files(public))
    assert server.service is not None
    until(lambda: not server.service.connections)  # type: ignore[union-attr]
    until(lambda: "client takes nothing" in capfd.readouterr().out)
    # Its descriptors are used again by those who come now: nothing of it may be left in the loop.
    others = [connect(server) for _ in range(5)]
    for _ in range(3):
        assert [fetch(other, "/text.txt") for other in others] == [TEXT] * 5
    for each in (client, *others):
        each.close()


@pytest.mark.usefixtures("by", "endless")
def test_a_client_that_takes_little_by_little_is_not(public: Path, serve: Callable[..., Server]) -> None:
    server = serve(static("/", public), write_timeout=0.2)
    client = stuck(server, public)
    deadline = time.monotonic() + 0.6
    while time.monotonic() < deadline:
        for _ in range(20):
            client.recv(100_000)
        time.sleep(0.02)
    assert len(open_files(public)) == 1
    client.close()
    until(lambda: not open_files(public))


@pytest.mark.usefixtures("by", "endless")
@pytest.mark.parametrize("end", ["reset", "closed"])
def test_a_client_that_leaves_takes_the_file_with_it(
    public: Path, serve: Callable[..., Server], end: str, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(static("/", public), access_log=True)
    client = stuck(server, public)
    if end == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()  # with bytes unread it is a reset either way; but those that we are told of differ
    until(lambda: not open_files(public))
    until(lambda: "GET /big.bin \u2192 client left" in capfd.readouterr().out)
    other = connect(server)
    assert fetch(other, "/text.txt") == TEXT
    other.close()


@pytest.mark.usefixtures("by", "endless")
def test_a_big_file_that_shrinks_meanwhile(public: Path, serve: Callable[..., Server]) -> None:
    client = stuck(serve(static("/", public)), public)
    os.truncate(public / "big.bin", 1000)
    with client, pytest.raises(ConnectionResetError):
        assert len(b"".join(iter(lambda: client.recv(1 << 20), b""))) < 0, "a whole body, or an end like one"


@pytest.mark.usefixtures("by")
def test_a_server_that_stops_sends_what_it_has_begun(
    public: Path, endless: int, serve: Callable[..., Server]
) -> None:
    server = serve(static("/", public))
    client = stuck(server, public)
    server.stop()
    size = 8
    while data := client.recv(1 << 20):
        size += len(data)
    assert size > endless
    client.close()


def test_without_a_descriptor_to_spare_it_is_read(
    public: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def refuse(*_: Any) -> socket.socket:
        calls.append(1)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "fromfd", refuse)
    data = big(public)
    client = connect(serve(static("/", public)))
    assert fetch(client, "/big.bin") == data
    client.close()
    assert calls


def test_over_tls_the_kernel_does_not_write() -> None:
    class Transport:
        def __init__(self, **extra: Any) -> None:
            self.extra = extra

        def get_extra_info(self, name: str) -> Any:
            return self.extra.get(name)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert sendfile._plain_socket(Transport(socket=ours, sslcontext=object())) is None
        assert sendfile._plain_socket(Transport()) is None
        plain = sendfile._plain_socket(Transport(socket=ours))
        assert (plain is not None) == hasattr(os, "sendfile")
        if plain is not None:
            plain.close()
        theirs.close()
    assert sendfile._plain_socket(Transport(socket=theirs)) is None  # closed meanwhile


# As curl asks


@pytest.fixture
def curl() -> Callable[..., bytes]:
    command = shutil.which("curl")
    if command is None:
        pytest.skip("curl is not installed")

    def run(*arguments: str | Path) -> bytes:
        done = subprocess.run(
            [command, "--silent", "--show-error", "--fail", "--max-time", "10", *arguments],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


def test_curl(public: Path, tmp_path: Path, serve: Callable[..., Server], curl: Callable[..., bytes]) -> None:
    data = big(public)
    url = serve(static("/", public)).url
    assert curl(url + "/big.bin") == data
    assert curl("-r", "1000-1999", url + "/big.bin") == data[1000:2000]
    assert curl("-r", "-5", url + "/big.bin") == data[-5:]
    assert curl("-r", "2000000-", url + "/big.bin") == data[2_000_000:]
    part = tmp_path / "part"
    part.write_bytes(data[:1_234_567])
    curl("-C", "-", "-o", part, url + "/big.bin")
    assert part.read_bytes() == data
    assert curl("-z", DATE, "-w", "%{http_code}", url + "/text.txt") == b"304"
    assert curl("-L", url + "/docs") == b"<h1>docs</h1>"
    (public / "page.txt.gz").write_bytes(gzip.compress(b"compressed"))
    (public / "page.txt").write_bytes(b"plain")
    os.utime(public / "page.txt", (MOMENT, MOMENT))
    assert curl("--compressed", url + "/page.txt") == b"compressed"
    assert curl(url + "/page.txt") == b"plain"


def test_curl_saves_a_download_by_its_name(
    public: Path, tmp_path: Path, serve: Callable[..., Server], curl: Callable[..., bytes]
) -> None:
    server = serve(answering(lambda: file(public / "text.txt", download="my text.txt")))
    curl("--output-dir", tmp_path, "-OJ", server.url + "/")
    assert (tmp_path / "my text.txt").read_bytes() == TEXT

"""Files: what `file` and `static` answer, and with what in the head."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router, Server
from kissapi.extras.files import file, static
from kissapi.extras.files.media_types import type_of
from kissapi.extras.files.sendfile import OpenFile
from kissapi.http.dates import read_date
from kissapi.http.server_headers import ServerHeaders
from tests.extras.public import DATE, MOMENT, SECRET, TEXT, answering, compressed, open_files
from tests.wire import Wire, fetch, parse_answers

# What is answered


def test_a_file(public: Path, parser_class: Any) -> None:
    status, fields, body = fetch(static("/", public), "/text.txt", parser_class=parser_class)
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
        status, fields, _ = fetch(static("/", public), path, parser_class=parser_class)
        answer = fetch(
            static("/", public), path, "Range: bytes=1-2", method="HEAD", parser_class=parser_class
        )
        fields["date"] = answer[1]["date"]  # a second may have passed
        assert answer == (status, fields, b"")


def test_the_etag_changes_with_the_file(public: Path) -> None:
    router = static("/", public)
    tags = [fetch(router, "/text.txt")[1]["etag"]]
    path = public / "text.txt"
    path.write_bytes(TEXT + b"x")
    os.utime(path, (MOMENT, MOMENT))
    tags.append(fetch(router, "/text.txt")[1]["etag"])
    os.utime(path, ns=(MOMENT, MOMENT * 10**9 + 1))
    tags.append(fetch(router, "/text.txt")[1]["etag"])
    assert len(set(tags)) == 3


def test_a_time_to_come_is_none(public: Path) -> None:
    ahead = time.time() + 1e6
    os.utime(public / "text.txt", (ahead, ahead))
    modified = read_date(fetch(static("/", public), "/text.txt")[1]["last-modified"])
    assert modified is not None
    assert modified <= time.time()


def test_cache_control_is_sent_with_what_may_be_kept(public: Path) -> None:
    router = static("/", public, cache_control="max-age=60")
    etag = fetch(router, "/text.txt")[1]["etag"]
    assert fetch(router, "/text.txt")[1]["cache-control"] == "max-age=60"
    assert fetch(router, "/text.txt", f"If-None-Match: {etag}")[1]["cache-control"] == "max-age=60"
    assert fetch(router, "/text.txt", "Range: bytes=0-1")[1]["cache-control"] == "max-age=60"
    for field in ("Range: bytes=100-", 'If-Match: "x"'):
        assert "cache-control" not in fetch(router, "/text.txt", field)[1]
    assert "cache-control" not in fetch(router, "/nowhere")[1]


@pytest.mark.parametrize(
    "server", [None, ServerHeaders({"Accept-Ranges": "none", "X-Frame-Options": "DENY"})]
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("field", ["X: y", "Range: bytes=1-2", "If-None-Match: *", "Connection: close"])
def test_a_head_that_is_made_already_is_that_of_any_response(
    public: Path, method: str, field: str, version: str, server: ServerHeaders | None, parser_class: Any
) -> None:
    def answer(look: bool) -> bytes:
        router = static("/", public, cache_control="no-cache")

        @router.after
        async def after(req: Request, result: Response) -> None:
            assert not look or result.headers["etag"]

        wire = Wire(router, parser_class, headers=server)
        wire.send(f"{method} /text.txt HTTP/{version}\r\nHost: a\r\n{field}\r\n\r\n".encode())
        return re.sub(rb"Date: [^\r]*", b"", wire.received)  # a second may have passed

    assert answer(look=False) == answer(look=True)


def test_fields_that_a_hook_takes_away_are_gone(public: Path) -> None:
    router = static("/", public)

    @router.after
    async def after(req: Request, result: Response) -> None:
        result.headers = {}

    assert "etag" not in fetch(router, "/text.txt")[1]


@pytest.mark.parametrize("change", [{"status": 404}, {"body": "other"}, {}])
def test_what_is_not_the_usual_answer_has_all_fields_of_its_file(
    public: Path, change: dict[str, Any], parser_class: Any
) -> None:
    router = Router()

    @router.get("/x")
    @router.post("/x")
    def handler(req: Request) -> Response:
        response = file(public / "text.txt", download="a.txt", cache_control="no-store")
        for name, value in change.items():
            setattr(response, name, value)
        return response

    status, fields, body = fetch(router, "/x", method="GET" if change else "POST", parser_class=parser_class)
    assert (status, body) == (change.get("status", 200), change.get("body", TEXT.decode()).encode())
    assert {"etag", "last-modified", "accept-ranges"} <= fields.keys()
    assert fields["cache-control"] == "no-store"
    assert "a.txt" in fields["content-disposition"]


# Folders


def test_a_folder_is_its_index(public: Path) -> None:
    router = static("/", public)
    assert fetch(router, "/")[2] == b"<h1>home</h1>"
    assert fetch(router, "/docs/")[2] == b"<h1>docs</h1>"
    assert fetch(router, "/docs/")[1]["content-type"] == "text/html; charset=utf-8"
    assert fetch(static("/", public, index="text.txt"), "/")[2] == TEXT


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
        status, fields, _ = fetch(router, path)
        assert (status, fields["location"]) == (301, location)


@pytest.mark.parametrize("path", ["/empty", "/empty/", "/folder.d", "/folder.d/", "/docs/index.html/"])
def test_a_folder_without_an_index_is_not_there(public: Path, path: str) -> None:
    assert fetch(static("/", public), path)[0] == 404


def test_an_index_that_is_a_folder_is_none(public: Path) -> None:
    (public / "empty/index.html").mkdir()
    for path in ("/empty", "/empty/"):
        assert fetch(static("/", public), path)[0] == 404


def test_without_an_index_no_folder_answers(public: Path) -> None:
    router = static("/", public, index=None)
    for path in ("/", "/docs", "/docs/", "/text.txt/"):
        assert fetch(router, path)[0] == 404
    assert fetch(router, "/docs/index.html")[0] == 200


def test_it_is_a_router(public: Path) -> None:
    root = Router()
    root.mount("/", static("/assets", public))
    root["/{tenant}/files"] = static("/", public)

    @root.get("/")
    async def hello(req: Request) -> str:
        return "hello"

    assert fetch(root, "/")[2] == b"hello"
    assert fetch(root, "/assets/text.txt")[2] == TEXT
    assert fetch(root, "/assets/")[2] == b"<h1>home</h1>"
    assert fetch(root, "/red/files/text.txt")[2] == TEXT
    assert fetch(root, "/a%2Fb/files/text.txt")[2] == TEXT  # the slash is the prefix's business
    status, fields, _ = fetch(root, "/assets/text.txt", method="DELETE")
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

    assert fetch(site, "/docs/")[0] == 401
    etag = fetch(site, "/text.txt")[1]["etag"]
    for field in ("X: y", f"If-None-Match: {etag}", "Range: bytes=0-1", "Range: bytes=100-", 'If-Match: "x"'):
        assert fetch(site, "/text.txt", field)[1]["x-mark"] == "1"
    assert fetch(site, "/some/page/of/the/app")[::2] == (200, b"<h1>home</h1>")


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
    assert [fetch(router, "/text.txt")[2] for router in routers] == [TEXT, TEXT]
    (tmp_path / "next").mkdir()
    (tmp_path / "next/text.txt").write_bytes(b"next")
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("next")
    assert [fetch(router, "/text.txt")[2] for router in routers] == [TEXT, b"next"]


# One file


def test_file_answers_as_static_does(public: Path) -> None:
    router = answering(lambda: file(public / "text.txt", cache_control="private"))
    status, fields, body = fetch(router, "/")
    assert (status, body, fields["cache-control"]) == (200, TEXT, "private")
    assert fetch(router, "/", f"If-None-Match: {fields['etag']}")[0] == 304
    assert fetch(router, "/", "Range: bytes=-3")[2] == b"789"
    assert "vary" not in fields


def test_file_is_what_the_handler_says_it_is(public: Path) -> None:
    assert fetch(answering(lambda: file(public / ".env")), "/")[2] == SECRET  # nobody else chose it
    fields = fetch(answering(lambda: file(public / "app.js", content_type="text/x-own")), "/")[1]
    assert fields["content-type"] == "text/x-own"
    assert fetch(answering(lambda: file(str(public / "text.txt"))), "/")[2] == TEXT


def test_a_file_that_is_not_there_is_404(public: Path) -> None:
    assert fetch(answering(lambda: file(public / "nowhere")), "/")[::2] == (404, b"Not Found")
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
    assert fetch(router, "/")[1]["content-disposition"] == field


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


def test_without_mimetypes_the_table_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mimetypes", None)  # as in a small Python
    type_of.cache_clear()
    assert type_of("a.py") == "application/octet-stream"
    assert type_of("a.css") == "text/css; charset=utf-8"
    type_of.cache_clear()


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

    assert fetch(router, "/?other")[::2] == (200, b"another")
    assert fetch(router, "/?body", "Range: bytes=0-1")[::2] == (200, b"another body")
    assert fetch(router, "/")[0] == 500
    assert open_files(public) == []


def test_each_file_is_closed_where_it_was_opened(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose `__del__` it is to close those of lost answers, it has none here."""
    monkeypatch.delattr(OpenFile, "__del__")
    compressed(public, ".br", age=1)
    compressed(public, ".gz")
    (public / "big.bin").write_bytes(b"x" * 100_000)
    router = static("/", public)
    etag = fetch(router, "/app.js")[1]["etag"]
    for path in ("/app.js", "/big.bin", "/docs", "/docs/", "/empty", "/empty/", "/nowhere", "/text.txt/"):
        for field in (
            "X: y",
            "Accept-Encoding: br, gzip",
            f"If-None-Match: {etag}",
            'If-Match: "x"',
            "Range: bytes=0-10",
            "Range: bytes=100000-",
        ):
            for method in ("GET", "HEAD"):
                fetch(router, path, field, method=method)
                assert open_files(public) == [], (path, field, method)
    (public / "app.js.gz").unlink()
    (public / "app.js.gz").mkdir()
    assert "content-encoding" not in fetch(router, "/app.js", "Accept-Encoding: br, gzip")[1]
    assert open_files(public) == []


def test_a_file_that_shrinks_at_once_is_500(public: Path) -> None:
    def shrunk() -> Response:
        answer = file(public / "text.txt")
        (public / "text.txt").write_bytes(b"less")
        return answer

    wire = Wire(answering(shrunk)).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert parse_answers(wire.received)[0][0] == 500
    assert "the file ended after 4 of 100 bytes" in "\n".join(wire.lines)


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
    data = os.urandom(2_500_000)
    (public / "big.bin").write_bytes(data)
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

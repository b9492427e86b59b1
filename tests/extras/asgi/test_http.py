"""An ASGI app behind kissapi: scopes, answers, failures, bodies, with hooks around it and without."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kissapi import Request, Response, Router
from kissapi.extras.asgi import from_asgi
from kissapi.extras.testing import Client
from tests.extras.asgi.app import App
from tests.wire import Wire, parse_answers


class Asked:
    """An app, and a client of a router in which it is mounted."""

    def __init__(self, prefix: str = "/", hooked: bool = False, **options: Any) -> None:
        self.app = App()
        self.prefix = prefix.rstrip("/")
        router = Router()
        router[prefix] = from_asgi(self.app, **options)
        if hooked:

            @router.around
            async def tag(req: Request) -> AsyncGenerator[None, Response]:
                response = yield
                response.headers["x-tag"] = "hooked"

        self.client = Client(router)

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(self.prefix + path, **options)

    def raw(
        self, path: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b""
    ) -> Any:
        """What comes of a request whose client then ends its side."""
        lines = [f"{method} {self.prefix}{path} HTTP/{version}", "Host: a", *fields, "", ""]
        return self.client.exchange("\r\n".join(lines).encode() + body)


@pytest.fixture(params=["whole", "mounted", "hooked"])
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    made = Asked("/" if request.param == "whole" else "/legacy", request.param == "hooked")
    with made.client:
        yield made
    assert made.app.seen[0] == "startup"
    assert made.app.seen[-1] == "shutdown"
    assert made.client.service.background == set()


def test_an_answer(asked: Asked) -> None:
    answer = asked.get("/hello")
    assert (answer.status, answer.body) == (200, b"Hello")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == "5"
    assert ("x-tag" in answer.headers) == ("hooked" in answer.headers.get("x-tag", ""))
    assert any("→ 200 5B" in line for line in asked.client.log)


def test_the_scope(asked: Asked) -> None:
    given = {"X-Two": " a ", "x-utf": "caf\xc3\xa9"}
    scope = asked.get("/scope/%7Ea%2fb%20c?x=%20&y", headers=given).json
    root = asked.prefix
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert scope["method"] == "GET"
    assert scope["http_version"] == "1.1"
    assert scope["scheme"] == "http"
    assert scope["path"] == f"{root}/scope/~a/b c"
    assert scope["raw_path"] == f"{root}/scope/%7Ea%2fb%20c"
    assert scope["query_string"] == "x=%20&y"
    assert scope["root_path"] == root
    assert ["x-two", "a"] in scope["headers"]
    assert all(name == name.lower() for name, _ in scope["headers"])
    assert scope["client"] == ["127.0.0.1", 50000]
    assert scope["state"] == {"pool": "open"}
    assert scope["extensions"].keys() == {"http.response.pathsend", "http.response.early_hint"}


def test_a_state_is_a_copy(asked: Asked) -> None:
    async def changes(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["mine"] = True
        scope["extensions"]["mine"] = True
        await asked.app.scope({**scope}, receive, send)

    asked.app.changes = changes  # type: ignore[attr-defined]
    assert asked.get("/changes").json["state"] == {"pool": "open", "mine": True}
    assert asked.get("/scope").json["state"] == {"pool": "open"}
    assert "mine" not in asked.get("/scope").json["extensions"]


def test_a_whole_url_and_its_host(asked: Asked) -> None:
    raw = asked.client.exchange(
        f"GET http://other:81{asked.prefix}/scope HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    )
    ((_, _, body),) = parse_answers(raw)
    scope = json.loads(body)
    assert scope["raw_path"] == f"{asked.prefix}/scope"
    assert ["host", "other:81"] in scope["headers"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_every_method_is_the_apps(asked: Asked, method: str) -> None:
    assert asked.client.request(method, asked.prefix + "/scope").json["method"] == method


def test_head_has_no_body(asked: Asked) -> None:
    assert asked.client.head(asked.prefix + "/hello").headers["content-length"] == "5"
    for path in ("/pieces", "/at_once", "/endless"):
        answer = asked.client.head(asked.prefix + path)
        assert (answer.status, answer.body) == (200, b"")
        assert asked.get("/hello").body == b"Hello"
    asked.client.wait(1)  # a body that is not wanted ends
    assert asked.client.service.background == set()


@pytest.mark.parametrize("size", [0, 3, 70_000, 300_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_comes_in_pieces(asked: Asked, size: int, chunked: bool) -> None:
    body = b"x" * size
    given = iter([body[: size // 2], body[size // 2 :]]) if chunked and size else body
    for path in ("/echo", "/duplex", "/impatient"):
        answer = asked.client.post(
            asked.prefix + path, body=given if isinstance(given, bytes) else iter([body])
        )
        assert (answer.status, len(answer.body)) == (200, size)


def test_a_body_that_the_app_does_not_take(asked: Asked) -> None:
    for size in (10, 300_000):
        assert asked.client.post(asked.prefix + "/hello", body=b"x" * size).body == b"Hello"
    assert asked.get("/hello").body == b"Hello"


def test_a_body_over_the_limit_is_413() -> None:
    for options, path in (({"max_body": 1000}, "/echo"), ({}, "/echo")):
        asked = Asked(**options)
        size = 1001 if options else (16 << 20) + 1
        answer = asked.raw(path, f"Content-Length: {size}", method="POST")
        assert answer.startswith(b"HTTP/1.1 413"), answer
    chunk = b"%x\r\n%b\r\n" % (800, bytes(800))
    asked = Asked(max_body=1000)
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert asked.client.exchange(head, chunk, chunk).startswith(b"HTTP/1.1 413")
    assert asked.app.seen == ["disconnect"]


def test_a_client_that_breaks_off_its_body(asked: Asked) -> None:
    raw = asked.raw("/echo", "Content-Length: 10", method="POST", body=b"abc")
    assert raw.startswith(b"HTTP/1.1 400")
    assert asked.app.seen[1:] == ["disconnect"]


def test_it_is_asked_to_send_its_body(asked: Asked) -> None:
    raw = asked.raw("/echo", "Content-Length: 3", "Expect: 100-continue", method="POST", body=b"")
    assert raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b"100" not in asked.raw("/hello", "Content-Length: 3", "Expect: 100-continue", method="POST")[:12]


def test_a_stream(asked: Asked) -> None:
    answer = asked.get("/pieces")
    assert answer.body == b"abc"
    assert answer.headers["transfer-encoding"] == "chunked"
    answer = asked.get("/at_once")
    assert (answer.body, answer.headers["content-length"]) == (b"ab", "2") or asked.client.backend


def test_http_1_0(asked: Asked) -> None:
    raw = asked.raw("/hello", version="1.0")
    assert b"Content-Length: 5" in raw
    assert b"Connection: close" in raw
    assert b"Connection: keep-alive" in asked.raw("/hello", "Connection: keep-alive", version="1.0")
    raw = asked.raw("/pieces", version="1.0")
    assert b"chunked" not in raw
    assert raw.endswith(b"\r\n\r\nabc")


def test_pipelined_requests_and_background_work(asked: Asked) -> None:
    request = f"GET {asked.prefix}/%s HTTP/1.1\r\nHost: a\r\n\r\n"
    paths = ("background", "later", "hello", "pieces", "waits", "hello")
    raw = asked.client.exchange("".join(request % path for path in paths[:4]).encode())
    assert [body for _, _, body in parse_answers(raw)] == [b"answered", b"later", b"Hello", b"abc"]
    asked.client.wait(1)
    assert "background" in asked.app.seen


def test_fields_as_they_are_and_those_that_are_ours(asked: Asked) -> None:
    answer = asked.get("/headers")
    assert answer.status == 201
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["date"] != "never"
    assert answer.headers["content-length"] == "4"
    assert "content-type" not in answer.headers
    assert answer.body == b"view"
    assert b"caf\xe9" in asked.raw("/headers")


def test_the_app_may_end_the_connection(asked: Asked) -> None:
    request = f"GET {asked.prefix}/closes HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    answers = parse_answers(asked.client.exchange(request + request))
    assert len(answers) == 1
    assert answers[0][1]["connection"] == "close"


@pytest.mark.parametrize("status", [200, 204, 205, 304, 404, 499, 599])
def test_statuses(asked: Asked, status: int) -> None:
    bodyless = status in (204, 205, 304)
    ((got, fields, body),) = parse_answers(asked.raw(f"/status/{status}"))
    assert (got, body) == (status, b"" if bodyless else b"body")
    assert "content-length" not in fields or status not in (204, 304)


START: dict[str, Any] = {"type": "http.response.start", "status": 200}
BODY: dict[str, Any] = {"type": "http.response.body", "body": "x"}


@pytest.mark.parametrize(
    "events",
    [
        [],
        [START],
        [BODY],
        [START, START],
        [{**START, "status": 103}, BODY],
        [{**START, "status": 999}, BODY],
        [{**START, "status": "200"}, BODY],
        [{**START, "headers": [("x-a", "b\r\nx-c: d")]}, BODY],
        [{**START, "headers": [("x a", "b")]}, BODY],
        [{**START, "headers": [("content-length", "-1")]}, BODY],
        [{**START, "headers": [("content-length", "1"), ("content-length", "2")]}, BODY],
        [START, {"type": "http.response.push"}],
        [START, {**BODY, "more_body": True}],
        [START, {**BODY, "more_body": True}, {"type": "http.response.pathsend", "path": "/etc/passwd"}],
        [START, {"type": "http.response.pathsend", "path": "/nowhere"}],
        [{"type": "http.response.early_hint", "links": []}],
        [{"type": "http.response.trailers", "headers": []}],
    ],
    ids=lambda events: "-".join(str(each.get("status", each["type"][14:])) for each in events) or "none",
)
def test_a_wrong_answer_is_a_clean_500(asked: Asked, events: list[dict[str, Any]]) -> None:
    answer = asked.get("/sends/" + quote(json.dumps(events), safe=""))
    assert answer.status == 500
    assert asked.get("/hello").body == b"Hello"
    assert sum("the ASGI app App" in line or "Error" in line for line in asked.client.log) >= 1


@pytest.mark.parametrize("how", ["before", "started", "piece"])
def test_an_error_before_the_head_is_out_is_a_clean_500(asked: Asked, how: str) -> None:
    assert asked.get(f"/raises/{how}").status == 500
    assert asked.get("/hello").body == b"Hello"


def test_an_error_in_the_body_cuts_it(asked: Asked) -> None:
    with pytest.raises(ConnectionResetError):
        asked.get("/raises/stream")
    assert sum("ValueError: raised stream" in line for line in "\n".join(asked.client.log).splitlines()) == 1


def test_an_error_in_a_body_that_is_not_sent_is_logged(asked: Asked) -> None:
    assert asked.client.head(asked.prefix + "/raises/stream").status == 200
    asked.client.wait(1)
    assert "ValueError: raised stream" in "\n".join(asked.client.log)
    assert asked.get("/hello").body == b"Hello"


def test_an_error_after_the_answer_is_logged(asked: Asked) -> None:
    for path, error in (("/raises/after", "raised after"), ("/background/fails", "in the background")):
        assert asked.get(path).status == 200
        asked.client.wait(1)
        assert f"ValueError: {error}" in "\n".join(asked.client.log)


@pytest.mark.parametrize("how", ["now", "later"])
def test_no_answer_at_all(asked: Asked, how: str) -> None:
    assert asked.get(f"/nothing/{how}").status == 500
    assert "has not started its answer" in "\n".join(asked.client.log)


def test_a_content_length_is_kept_to(asked: Asked) -> None:
    assert asked.get("/length/3/3").body == b"xxx"
    assert asked.get("/length/3/2").status == 500
    assert asked.get("/length/3/4").status == 500
    assert asked.get("/length/3/3?pieces").headers["content-length"] == "3"
    for path in ("/length/3/2?pieces", "/length/3/4?pieces"):
        with pytest.raises(ConnectionResetError):
            asked.get(path)


def test_a_file(asked: Asked, tmp_path: Path) -> None:
    for path, size in (("/sends_file", 10), ("/sends_file", 300_000), ("/sends_file/gone", 300_000)):
        file = tmp_path / "file"
        file.write_bytes(b"f" * size)
        asked.app.file = str(file)
        answer = asked.get(path)
        assert (answer.status, len(answer.body)) == (200, size)
        assert answer.headers["content-length"] == str(size)
    assert not file.exists()
    file.write_bytes(b"abc")
    assert asked.client.head(asked.prefix + "/sends_file").headers["content-length"] == "3"


def test_early_hints(asked: Asked) -> None:
    raw = asked.raw("/hints")
    assert raw.startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n"
    )
    assert b"103" not in asked.raw("/hints", version="1.0")


def test_servers_headers_are_added() -> None:
    from kissapi import Server

    router = from_asgi(App())
    client = Client(Server(router=router, headers={"x-frame-options": "DENY"}))
    answer = client.get("/hello")
    assert (answer.headers["x-frame-options"], answer.body) == ("DENY", b"Hello")


def test_an_app_may_give_any_awaitable() -> None:
    def app(scope: Any, receive: Any, send: Any) -> Any:
        return asyncio.ensure_future(App()(scope, receive, send))

    with Client(from_asgi(app)) as client:
        assert client.get("/hello").body == b"Hello"
        assert client.get("/later").body == b"later"
        assert client.post("/echo", body=b"abc").body == b"abc"


def test_what_is_no_app() -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        from_asgi("main:app")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_message"):
        from_asgi(App(), max_message=0)


def test_pieces_that_come_in_one_turn_go_out_together(parser_class: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 1024, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    wire = Wire(from_asgi(app), parser_class)
    written: list[bytes] = []
    wire.transport.write = written.append  # type: ignore[method-assign, assignment]
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").wait(1)
    ((status, _, body),) = parse_answers(b"".join(written))
    assert (status, body) == (200, b"x" * 1024 * 1000)
    assert len(written) < 100

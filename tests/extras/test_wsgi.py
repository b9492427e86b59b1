"""WSGI apps on kissapi: what they get and what becomes of what they give, by PEP 3333, without sockets."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from kissapi import Request, Response, Router, Server
from kissapi.extras.testing import Client
from kissapi.extras.wsgi import from_wsgi
from kissapi.extras.wsgi.call import Call
from kissapi.extras.wsgi.streams import Errors
from tests.wire import Wire, exchange, fetch, parse_answers

App = Callable[[dict[str, Any], Any], Iterable[bytes]]
PLAIN = [("Content-Type", "text/plain")]


def told(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """What it got, as JSON."""
    text = {name: value for name, value in environ.items() if isinstance(value, str)}
    text["input"] = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(text).encode()]


def mounted(app: App, prefix: str = "/old", **options: Any) -> Router:
    router = Router()
    router[prefix] = from_wsgi(app, **options)
    return router


def environ_for(router: Router, path: str, *fields: str, method: str = "GET") -> dict[str, Any]:
    status, _, body = fetch(router, path, *fields, method=method)
    assert status == 200
    return json.loads(body)  # type: ignore[no-any-return]


def answering(
    *pieces: bytes, status: str = "200 OK", headers: list[tuple[str, str]] = PLAIN, whole: bool = False
) -> App:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, headers)
        return list(pieces) if whole else iter(pieces)

    return app


# What the app gets


@pytest.mark.parametrize(
    ("prefix", "path", "script_name", "path_info"),
    [
        ("/", "/", "", "/"),
        ("/", "/a%20b/c", "", "/a b/c"),
        ("/old", "/old", "/old", ""),
        ("/old", "/old/", "/old", "/"),
        ("/old", "/old/a%2Fb/caf%C3%A9", "/old", "/a/b/cafÃ©"),
        ("/caf%C3%A9", "/café/x".encode().decode("latin-1"), "", ""),
        ("/{tenant}/v1", "/a%20b/v1/x", "/a b/v1", "/x"),
    ],
)
def test_the_path_is_cut_where_the_app_is_mounted(
    prefix: str, path: str, script_name: str, path_info: str
) -> None:
    if not path.isascii():
        path, script_name, path_info = "/caf%c3%a9/x", "/cafÃ©", "/x"
    environ = environ_for(mounted(validator(told), prefix), path + "?q=%20&y")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)
    assert (environ["QUERY_STRING"], environ["REQUEST_URI"]) == ("q=%20&y", path + "?q=%20&y")


def test_fields_are_named_as_in_cgi() -> None:
    environ = environ_for(
        mounted(told),
        "/old/x",
        "X-One: 1",
        "X-One: 2",
        "Cookie: a=1",
        "Cookie: b=2",
        "X_Forwarded_For: 6.6.6.6",
        "X-Name: café",
        "Content-Type: text/plain",
    )
    assert environ["HTTP_X_ONE"] == "1, 2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_NAME"] == "cafÃ©"
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert "HTTP_CONTENT_TYPE" not in environ
    assert "CONTENT_LENGTH" not in environ
    assert (environ["REQUEST_METHOD"], environ["SERVER_PROTOCOL"]) == ("GET", "HTTP/1.1")
    assert (environ["HTTP_HOST"], environ["wsgi.url_scheme"]) == ("a", "http")


def test_a_proxy_that_is_trusted_tells_client_and_scheme() -> None:
    server = Server(router=mounted(told), trusted_proxies="127.0.0.1", proxy_headers="forwarded")
    with Client(server) as client:
        fields = {"forwarded": "for=9.9.9.9;proto=https;host=shop.example"}
        environ = client.get("/old/", headers=fields).json
    assert environ["REMOTE_ADDR"] == "9.9.9.9"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "shop.example"


def test_the_request_of_kissapi_is_there_too() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return [environ["kissapi.request"].state.user]

    router = mounted(app)

    @router.around
    async def user(req: Request) -> Any:
        req.state.user = b"ann"
        response = yield
        response.headers["x-seen"] = "yes"

    status, fields, body = fetch(router, "/old/")
    assert (status, fields["x-seen"], body) == (200, "yes", b"ann")


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
@pytest.mark.parametrize("size", [0, 5, 1 << 20])
def test_a_body_is_there_to_be_read(size: int, backend: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        start_response("200 OK", PLAIN)
        return [str(len(body.read(3) + body.readline() + b"".join(body))).encode()]

    with Client(mounted(app), backend=backend) as client:
        assert client.post("/old/", body=b"abc\nd" * (size // 5)).text == str(size // 5 * 5)


def test_a_chunked_body_that_was_gathered_has_a_length(parser_class: Any) -> None:
    message = b"POST /old/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    for chunks in ([message], [message[:70], message[70:]]):
        ((_, _, body),) = parse_answers(exchange(mounted(told), *chunks, parser_class=parser_class))
        environ = json.loads(body)
        assert (environ["CONTENT_LENGTH"], environ["input"]) == ("3", "abc")
        assert "HTTP_TRANSFER_ENCODING" not in environ


def test_a_body_beyond_the_limit_never_reaches_the_app(parser_class: Any) -> None:
    router = mounted(told, max_body=10)
    for framing in (b"Content-Length: 11\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nB\r\n"):
        message = b"POST /old/ HTTP/1.1\r\nHost: a\r\n" + framing
        assert exchange(router, message, parser_class=parser_class).startswith(b"HTTP/1.1 413")


# What it gives


def test_a_list_is_a_whole_answer_and_an_iterator_a_stream() -> None:
    assert fetch(mounted(answering(b"a", b"b", whole=True)), "/old/")[1]["content-length"] == "2"
    _, fields, body = fetch(mounted(validator(answering(b"a", b"", b"b"))), "/old/")
    assert (fields["transfer-encoding"], body) == ("chunked", b"ab")
    assert fetch(mounted(answering()), "/old/")[1]["content-length"] == "0"


def test_a_piece_of_the_declared_length_is_a_whole_answer() -> None:
    headers = [*PLAIN, ("Content-Length", "2")]
    _, fields, body = fetch(mounted(answering(b"ab", headers=headers)), "/old/")
    assert (fields["content-length"], body) == ("2", b"ab")
    _, fields, body = fetch(mounted(answering(b"a", b"b", headers=headers)), "/old/")
    assert (fields["content-length"], body) == ("2", b"ab")


@pytest.mark.parametrize("whole", [False, True])
def test_the_declared_length_is_kept_to(whole: bool) -> None:
    short = answering(b"a", headers=[*PLAIN, ("Content-Length", "2")], whole=whole)
    long = answering(b"aa", b"b", headers=[*PLAIN, ("Content-Length", "2")], whole=whole)
    if whole:
        assert fetch(mounted(short), "/old/")[0] == 500
        assert fetch(mounted(long), "/old/")[0] == 500
    else:
        answer = exchange(mounted(short), b"GET /old/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.endswith(b"\r\n\r\na")  # and is cut there
        with Client(mounted(long)) as client:  # the client has what was declared; the log has the rest
            assert client.get("/old/").text == "aa"
            assert "the body has more bytes than its Content-Length" in "\n".join(client.log)


def test_head_has_no_body_and_the_length_of_get() -> None:
    headers = [*PLAIN, ("Content-Length", "5")]
    for app in (
        answering(headers=headers, whole=True),
        answering(b"hello", headers=headers, whole=True),
        answering(b"he", b"llo", headers=headers),
    ):
        _, fields, body = fetch(mounted(app), "/old/", method="HEAD")
        assert (fields["content-length"], body) == ("5", b"")
    for status in ("204 No Content", "304 Not Modified"):
        answer = fetch(mounted(answering(status=status, headers=[], whole=True)), "/old/")
        assert (answer[0], answer[2]) == (int(status[:3]), b"")
        assert "content-type" not in answer[1]


def test_fields_are_octets_and_may_repeat() -> None:
    headers = [
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Name", "cafÃ©"),
        ("Location", "/a b"),
        ("Server", "mine"),
    ]
    answer = exchange(
        mounted(answering(status="302 Elsewhere", headers=headers, whole=True)),
        b"GET /old/ HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    for line in (
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2",
        "X-Name: café".encode(),
        b"Location: /a%20b",
        b"Server: mine",
    ):
        assert line + b"\r\n" in answer
    assert b"content-type" not in answer.lower()


@pytest.mark.parametrize(
    ("status", "headers", "what"),
    [
        ("OK", PLAIN, 'a status is text such as "200 OK"'),
        (200, PLAIN, 'a status is text such as "200 OK"'),
        ("103 Early Hints", PLAIN, "status must be a number from 200 to 599"),
        ("200 OK", [("X Y", "1")], "is no header name"),
        ("200 OK", [("X-Y", "1\r\nEvil: 1")], "may not contain control characters"),
        ("200 OK", [("X-Y", 1)], "must be a str"),
        ("200 OK", [("Content-Length", "many")], "Content-Length is a number of bytes"),
    ],
)
def test_what_may_not_travel_is_an_error_in_the_app(status: Any, headers: Any, what: str) -> None:
    errors: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            start_response(status, headers)
        except (TypeError, ValueError) as error:
            errors.append(str(error))
            start_response("200 OK", PLAIN)
        return [b"mended"]

    for _ in range(2):  # the second time the names are known
        assert fetch(mounted(app), "/old/")[2] == b"mended"
        assert what in errors.pop()


def test_write_is_there_for_old_apps() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"a")
        write(b"b")
        return [b"c"]

    assert fetch(mounted(validator(app)), "/old/")[2] == b"abc"


def test_exc_info_replaces_a_head_that_is_not_out() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        import sys

        start_response("200 OK", PLAIN)
        if environ["PATH_INFO"] == "/late":
            yield b"begun"
        try:
            raise OSError("no disk")
        except OSError:
            start_response("503 Sorry", PLAIN, sys.exc_info())
        yield b"sorry"

    router = mounted(app)
    assert fetch(router, "/old/")[::2] == (503, b"sorry")
    with Client(router) as client:
        client.exchange(b"GET /old/late HTTP/1.1\r\nHost: a\r\n\r\n")
        assert "OSError: no disk" in "\n".join(client.log)


def test_close_is_always_called() -> None:
    class Pieces:
        def __init__(self, fails: bool) -> None:
            self.fails = fails

        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            if self.fails:
                raise OSError("no disk")

        def close(self) -> None:
            closed.append(self.fails)

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        return Pieces(environ["PATH_INFO"] == "/fails")

    closed: list[bool] = []
    router = mounted(app)
    assert fetch(router, "/old/")[2] == b"a"
    assert fetch(router, "/old/", method="HEAD")[2] == b""
    exchange(router, b"GET /old/fails HTTP/1.1\r\nHost: a\r\n\r\n")
    assert closed == [False, False, True]


@pytest.mark.parametrize("kind", [OSError, StopIteration, SystemExit])
def test_what_the_app_raises_is_a_500_and_in_the_log(kind: type[BaseException]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise kind("no disk")

    with Client(mounted(app)) as client:
        assert client.get("/old/").status == 500
        log = "\n".join(client.log)
    assert ".app raised" in log
    assert f"{kind.__name__}: no disk" in log


@pytest.mark.parametrize(
    ("app", "what"),
    [
        (lambda environ, start_response: [b"x"], "has not called start_response"),
        (lambda environ, start_response: iter([b"x"]), "has not called start_response"),
        (lambda environ, start_response: [], "has not called start_response"),
        (answering("text"), "a WSGI app gives bytes, not 'text'"),  # type: ignore[arg-type]
        (lambda environ, start_response: None, "NoneType"),
        (
            lambda environ, start_response: [
                start_response("200 OK", PLAIN),
                start_response("200 OK", PLAIN),
            ],
            "start_response has been called before",
        ),
    ],
)
def test_an_app_that_breaks_the_rules_is_told_so(app: Any, what: str) -> None:
    with Client(mounted(app)) as client:
        assert client.get("/old/").status == 500
        assert what in "\n".join(client.log)


def test_what_is_no_app_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="a WSGI app is called with"):
        from_wsgi("app")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="buffer"):
        from_wsgi(told, buffer=-1)


@pytest.mark.parametrize("path", ["/whole", "/stream", "/raises", "/raises-late", "/left"])
def test_a_call_leaves_no_cycle(path: str) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if path == "/raises":
            raise OSError("no disk")
        start_response("200 OK", PLAIN)
        return [b"whole"] if path == "/whole" else pieces()

    def pieces() -> Iterator[bytes]:
        yield bytes(1 << 16)
        if path == "/raises-late":
            raise OSError("no disk")
        yield b"end"

    router = mounted(app, "/")
    gc.collect()
    before = {id(found) for found in gc.get_objects() if type(found) is Call}
    gc.disable()
    try:
        wire = Wire(router, room=1000 if path == "/left" else float("inf"))
        wire.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if path == "/left":
            wire.connection.transport.abort()
            wire.loop.run()
        del wire
        assert not [found for found in gc.get_objects() if type(found) is Call and id(found) not in before]
    finally:
        gc.enable()


def test_errors_go_to_the_log() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        errors = environ["wsgi.errors"]
        print("one", file=errors)
        errors.writelines(["two\n", "three\n"])
        errors.write("four \x1b[2J")
        start_response("200 OK", PLAIN)
        return []

    with Client(mounted(app)) as client:
        assert client.get("/old/x").status == 200
        log = "\n".join(client.log)
    for text in ("GET /old/x: one\n", "GET /old/x: two\nthree\n", "GET /old/x: four \\x1b[2J"):
        assert text in log
    with pytest.raises(TypeError, match=r"wsgi.errors takes text"):
        Errors(print).write(b"x")  # type: ignore[arg-type]


def test_routes_and_other_apps_stand_beside_it() -> None:
    router = mounted(told)
    router["/older"] = from_wsgi(answering(b"older", whole=True))

    @router.get("/old/new")
    async def new(req: Request) -> Response:
        return Response("new")

    assert fetch(router, "/old/new")[2] == b"new"
    assert fetch(router, "/older/x")[2] == b"older"
    assert environ_for(router, "/old/new", method="DELETE")["REQUEST_METHOD"] == "DELETE"
    assert environ_for(router, "/old/x", method="OPTIONS")["REQUEST_METHOD"] == "OPTIONS"
    assert fetch(router, "/other")[0] == 404

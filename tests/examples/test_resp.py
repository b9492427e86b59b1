"""RESP: what examples/resp.py and store.py answer, byte for byte, and what the clients of redis see of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from examples.resp import Call, RespParser
from examples.resp import router as commands
from examples.store import store
from kissapi import Fail, Response, Router, Server
from kissapi.core import IDLE
from tests.calls import count_calls
from tests.serving import THREE, make, running
from tests.wire import Wire, split

WRONG_TYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
NO_INTEGER = b"-ERR value is not an integer or out of range\r\n"
OVERFLOW = b"-ERR increment or decrement would overflow\r\n"
HELLO = b"$6 server $5 redis $5 proto :%d $4 role $6 master $7 modules *0 ".replace(b" ", b"\r\n")
NOPROTO = b"-NOPROTO unsupported protocol version\r\n"
LAST, PAST = b"%d" % (2**63 - 1), b"%d" % 2**63
ANYTHING = bytes(range(256)) + b"\r\n$3\r\n*1\r\n"


def call(*words: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(words), b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def wrong_number(name: bytes) -> bytes:
    return b"-ERR wrong number of arguments for '%b' command\r\n" % name


@pytest.fixture(autouse=True)
def _empty_store() -> None:
    store.clear()


def wire_to(router: Router = commands, **limits: Any) -> Wire:
    return Wire(router, RespParser, Call, **limits)


SESSIONS = {
    "ping": [(call(b"PING"), b"+PONG\r\n"), (call(b"ping", b""), b"$0\r\n\r\n"), (b"PiNg\r\n", b"+PONG\r\n")],
    "a line ends with LF, too": [(b"ping\n", b"+PONG\r\n"), (b"  echo \t you\n", b"$3\r\nyou\r\n")],
    "nothing between calls": [
        (b"\r\n\n", b""),
        (b"*0\r\n", b""),
        (call(b"PING"), b"+PONG\r\n"),
        (b"\n", b""),
    ],
    "any bytes": [
        (call(b"SET", ANYTHING, ANYTHING[::-1]), b"+OK\r\n"),
        (call(b"GET", ANYTHING), bulk(ANYTHING[::-1])),
        (call(b"GET", b""), b"$-1\r\n"),
        (call(b"SET", b"", b""), b"+OK\r\n"),
        (call(b"GET", b""), b"$0\r\n\r\n"),
    ],
    "conditions": [
        (call(b"SET", b"a", b"1", b"XX"), b"$-1\r\n"),
        (call(b"SET", b"a", b"1", b"nx"), b"+OK\r\n"),
        (call(b"SET", b"a", b"2", b"NX"), b"$-1\r\n"),
        (call(b"SET", b"a", b"3", b"xx"), b"+OK\r\n"),
        (call(b"SET", b"a", b"4", b"EX", b"5"), b"-ERR syntax error\r\n"),
        (call(b"GET", b"a"), bulk(b"3")),
    ],
    "del": [
        (call(b"SET", b"a", b"1") + call(b"RPUSH", b"b", b"1"), b"+OK\r\n:1\r\n"),
        (call(b"DEL", b"a", b"b", b"c", b"a"), b":2\r\n"),
        (call(b"GET", b"a"), b"$-1\r\n"),
    ],
    "incr": [
        (call(b"INCR", b"n"), b":1\r\n"),
        (call(b"SET", b"n", b"-1") + call(b"INCR", b"n") + call(b"INCR", b"n"), b"+OK\r\n:0\r\n:1\r\n"),
        (call(b"SET", b"n", LAST) + call(b"INCR", b"n"), b"+OK\r\n" + OVERFLOW),
        (call(b"GET", b"n"), bulk(LAST)),
        (call(b"INCRBY", b"n", b"-7"), b":%d\r\n" % (2**63 - 8)),
        (call(b"INCRBY", b"n", b"8") + call(b"INCRBY", b"n", b"x"), OVERFLOW + NO_INTEGER),
        (
            call(b"INCRBY", b"m", b"-%d" % 2**63) + call(b"INCRBY", b"m", b"-1"),
            b":-%d\r\n" % 2**63 + OVERFLOW,
        ),
    ],
    "wrong kinds": [
        (call(b"RPUSH", b"l", b"1", b"2"), b":2\r\n"),
        (call(b"GET", b"l") + call(b"INCR", b"l"), WRONG_TYPE * 2),
        (call(b"SET", b"l", b"x") + call(b"RPUSH", b"l", b"1"), b"+OK\r\n" + WRONG_TYPE),
        (call(b"GET", b"l"), bulk(b"x")),
    ],
    "wrong calls": [
        (call(b"GET"), wrong_number(b"get")),
        (call(b"set", b"a"), wrong_number(b"set")),
        (call(b"ping", b"a", b"b"), wrong_number(b"ping")),
        (call(b"FLY", b"away"), b"-ERR unknown command 'fly'\r\n"),
        (call(b"a\r\n-b c"), b"-ERR unknown command 'a -b c'\r\n"),
        (call(b""), b"-ERR unknown command ''\r\n"),
        (call(b"PING"), b"+PONG\r\n"),
    ],
    "what clients say when they connect": [
        (call(b"HELLO", b"4"), NOPROTO),
        (call(b"HELLO"), b"*8\r\n" + HELLO % 2),
        (call(b"GET", b"k"), b"$-1\r\n"),
        (call(b"HELLO", b"3", b"AUTH", b"a", b"b"), b"%4\r\n" + HELLO % 3),
        (call(b"GET", b"k"), b"_\r\n"),
        (call(b"HELLO", b"2"), b"*8\r\n" + HELLO % 2),
        (call(b"COMMAND", b"DOCS"), b"*0\r\n"),
        (call(b"CONFIG", b"GET", b"save"), b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n"),
        (call(b"CLIENT", b"SETINFO", b"LIB-NAME", b"x"), b"+OK\r\n"),
    ],
}


@pytest.mark.parametrize("name", SESSIONS)
@pytest.mark.parametrize("way", range(4))
def test_sessions(name: str, way: int) -> None:
    wire = wire_to().send(*split(b"".join(sent for sent, _ in SESSIONS[name]))[way])
    assert wire.received == b"".join(answer for _, answer in SESSIONS[name])
    assert wire.connection.state is IDLE
    wire.send_eof().wait(5)
    assert wire.closed
    assert wire.received == b"".join(answer for _, answer in SESSIONS[name])


@pytest.mark.parametrize("text", [b"", b"one", b"1.5", b" 1", b"+1", b"01", b"-0", b"1_0", PAST, b"1" * 5000])
def test_what_is_no_integer(text: bytes) -> None:
    wire = wire_to().send(call(b"SET", b"n", text), call(b"INCR", b"n"), call(b"GET", b"n"))
    assert wire.received == b"+OK\r\n" + NO_INTEGER + bulk(text)


@pytest.mark.parametrize("way", range(4))
def test_quit_is_the_last_call(way: int) -> None:
    wire = wire_to().send(*split(call(b"PING") + call(b"QUIT") + call(b"PING"))[way]).send_eof()
    assert wire.received == b"+PONG\r\n+OK\r\n"
    assert wire.closed


MALFORMED = {
    "a count that is none": b"*x\r\n",
    "a count below zero": b"*-1\r\n",
    "a count with a sign": b"*+1\r\n",
    "a count without CR": b"*1\n$4\r\nPING\r\n",
    "a count of too many": b"*100000\r\n",
    "no length": b"*1\r\nPING\r\n",
    "a length that is none": b"*1\r\n$four\r\nPING\r\n",
    "a length below zero": b"*1\r\n$-1\r\n",
    "an empty length": b"*1\r\n$\r\n",
    "a length without CR": b"*1\r\n$4\nPING\r\n",
    "a length that is too large": b"*1\r\n$100000000\r\n",
    "a string that is longer": b"*1\r\n$3\r\nPING\r\n",
    "a string that is shorter": b"*2\r\n$5\r\nPING\r\n$1\r\nx\r\n",
    "another array inside": b"*1\r\n*1\r\n$4\r\nPING\r\n",
    "a line without an end": b"x" * 8193,
    "a length without an end": b"*1\r\n$" + b"1" * 8192,
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("way", range(4))
def test_what_is_malformed_is_answered_in_its_turn_and_ends_the_connection(name: str, way: int) -> None:
    wire = wire_to().send(*split(call(b"PING") + MALFORMED[name])[way]).send(call(b"PING")).send_eof()
    first, answer, rest = wire.received.split(b"\r\n", 2)
    assert first == b"+PONG"
    assert answer.startswith(b"-ERR Protocol error: ")
    assert not rest
    assert wire.closed
    assert wire.connection.parser is None


@pytest.mark.parametrize(
    "part", [b"*1\r\n", b"*2\r\n$4\r\nPING\r\n", b"*1\r\n$4", b"*1\r\n$4\r\nPING", b"PING"]
)
def test_half_a_call_is_told_at_the_end(part: bytes) -> None:
    wire = wire_to().send(part).send_eof()
    assert wire.received == b"-ERR Bad Request: the request ends before it is complete\r\n"
    assert wire.closed


def test_half_a_call_is_not_awaited_for_ever() -> None:
    wire = wire_to(body_timeout=5).send(b"*1\r\n$4\r\nPI").wait(10)
    assert wire.received == b"-ERR Request Timeout\r\n"
    assert wire.connection.parser is None


def test_blank_lines_are_no_half_call() -> None:
    wire = wire_to(body_timeout=5, idle_timeout=60).send(b"\r\n").wait(50)
    assert wire.connection.state is IDLE
    assert wire.send(b"PING\r\n").received == b"+PONG\r\n"


def test_a_call_may_be_as_large_as_the_server_allows_and_no_larger() -> None:
    words = b"SET", b"k", b"v" * 100_000
    pieces = [call(*words)[at : at + 1000] for at in range(0, len(call(*words)), 1000)]
    assert wire_to(max_head=1000, max_body=100_000).send(*pieces).received == b"+OK\r\n"
    wire = wire_to(max_head=1000, max_body=90_000).send(*pieces)
    assert wire.received.startswith(b"-ERR Content Too Large: ")
    assert wire.received.count(b"\r\n") == 1
    assert wire.connection.parser is None


def test_a_long_string_is_not_looked_at_for_every_piece() -> None:
    parser = RespParser(Call())
    parser.feed_data(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n")
    for _ in range(10):
        assert count_calls(parser.feed_data, b"x" * 65536) <= 4
    assert not parser.finished


def test_what_a_handler_raises_is_an_error_and_the_connection_goes_on() -> None:
    router = Router()

    @router.route("/bug", ["CALL"])
    async def bug(request: Call) -> int:
        return 1 // len(request.words)

    @router.route("/odd", ["CALL"])
    async def odd(request: Call) -> object:
        return object()

    @router.route("/response", ["CALL"])
    async def response(request: Call) -> Response:
        return Response(b"x")

    wire = wire_to(router).send(call(b"BUG"), call(b"ODD"), call(b"RESPONSE"), call(b"BUG", b"1"))
    assert wire.received == b"-ERR Internal Server Error\r\n" * 2 + b"$1\r\nx\r\n:1\r\n"
    assert any("ZeroDivisionError" in line for line in wire.lines)
    assert any(line.startswith("TypeError") for line in wire.lines)


def test_an_around_leaves_results_to_the_protocol() -> None:
    router, seen = Router(), []

    @router.around
    async def see(request: Call) -> AsyncIterator[Any]:
        response = yield
        seen.append((response.status, type(response.error)))

    @router.route("/list", ["CALL"])
    async def of_two(request: Call) -> list[Any]:
        return [1, b"b"]

    @router.route("/bug", ["CALL"])
    async def bug(request: Call) -> int:
        return 1 // len(request.words)

    wire = wire_to(router).send(call(b"LIST"), call(b"BUG"), call(b"FLY"))
    assert wire.received == b"*2\r\n:1\r\n$1\r\nb\r\n-ERR Internal Server Error\r\n-ERR Not Found\r\n"
    assert seen == [(200, type(None)), (500, ZeroDivisionError), (404, Fail)]


def test_hooks_mounts_and_the_log() -> None:
    root, inner = Router(), Router()
    root["/"] = inner

    @inner.route("/get", ["CALL"])
    async def get(request: Call) -> bytes:
        return request.words[0]

    @root.route("/auth", ["CALL"])
    async def auth(request: Call) -> str:
        return "OK"

    @inner.before
    def ask(request: Call) -> None:
        if request.words == [b"secret"]:
            raise Fail(403, "NOPERM this key is not yours")

    @inner.after
    def twice(request: Call, result: bytes) -> list[bytes]:
        return [result, result]

    wire = wire_to(root).send(call(b"GET", b"secret"), call(b"GET", b"a"), call(b"AUTH", b"x"), call(b"FLY"))
    answers = (
        b"-NOPERM this key is not yours\r\n",
        b"*2\r\n$1\r\na\r\n$1\r\na\r\n",
        b"+OK\r\n",
        b"-ERR Not Found\r\n",
    )
    assert wire.received == b"".join(answers)
    assert [line.partition("] ")[2].rpartition(" ")[0] for line in wire.lines] == [
        "CALL /get → 403 31B",
        "CALL /get → 200 18B",
        "CALL /auth → 200 5B",
        "CALL /fly → 404 16B",
    ]


def test_a_name_cannot_forge_lines_of_the_log() -> None:
    [line] = wire_to().send(call(b"x\n12:00:00 [INFO]\x1b[2J")).lines
    assert "CALL /x\\n12:00:00 [info]\\x1b[2j → 404" in line


def test_of_a_client_that_takes_no_answers_no_more_is_read() -> None:
    get, value = call(b"GET", b"k"), b"v" * 10_000
    wire = wire_to(room=1000).send(call(b"SET", b"k", value), get * 100)
    assert not wire.transport.reading
    assert 0 < len(wire.connection.pending) < 95 * len(get)  # answered, but for those: what fits one write


# The clients of redis.


def start(serve: Callable[..., Server], **options: Any) -> Server:
    return serve(commands, parser_class=RespParser, request_class=Call, **options)


def run(name: str, server: Server, *arguments: str, said: str = "") -> str:
    """What a client of redis prints; it gets bytes for characters."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (Debian has it in redis-tools)")
    done = subprocess.run(
        [name, "-h", "127.0.0.1", "-p", str(server.port), *arguments],
        input=said.encode("latin-1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=20,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.decode("latin-1")


def test_redis_cli(serve: Callable[..., Server]) -> None:
    said = """
        set greeting "hello \\r\\n \\x00 world"
        get greeting
        incr greeting
        incr hits
        rpush hits 1
        config get save
        fly
        del greeting hits none
        get greeting
    """
    shown = """
        OK
        "hello \\r\\n \\x00 world"
        (error) ERR value is not an integer or out of range
        (integer) 1
        (error) WRONGTYPE Operation against a key holding the wrong kind of value
        1) "save"
        2) ""
        (error) ERR unknown command 'fly'
        (integer) 2
        (nil)
    """
    server = start(serve)
    lines = run("redis-cli", server, "--no-raw", said=said).strip().splitlines()
    assert [line for line in lines if line] == [line.strip() for line in shown.strip().splitlines()]
    told = run("redis-cli", server, "--no-raw", "-3", "ping")
    assert told == "PONG\n"


def test_redis_cli_with_any_bytes(serve: Callable[..., Server]) -> None:
    server, value = start(serve), ANYTHING.decode("latin-1") * 1000
    assert run("redis-cli", server, "-x", "set", "k", said=value) == "OK\n"
    assert run("redis-cli", server, "--raw", "get", "k") == value + "\n"


def test_redis_cli_inserts_a_mass(serve: Callable[..., Server]) -> None:
    calls = b"".join(call(b"SET", b"key %d" % number, b"x" * number) for number in range(1000))
    told = run("redis-cli", start(serve), "--pipe", said=calls.decode("latin-1"))
    assert "errors: 0, replies: 1000" in told
    assert len(store) == 1000


def benchmark(server: Server) -> None:
    tests = ["ping", "set", "get", "incr", "rpush"]
    told = run("redis-benchmark", server, "-t", ",".join(tests), "-n", "1600", "-c", "8", "-P", "16", "--csv")
    names = [line.split('"')[1] for line in told.splitlines()]
    assert names == ["test", "PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "RPUSH"]
    assert store[b"counter:__rand_int__"] == b"%d" % len(store[b"mylist"]) == b"1600"


@pytest.mark.parametrize("loop", THREE)
@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(loop: str, protocol: int) -> None:
    redis = pytest.importorskip("redis", reason="redis is not installed")
    server = make(loop, commands, parser_class=RespParser, request_class=Call)
    with running(server), redis.Redis(port=server.port, protocol=protocol) as client:
        assert client.ping()
        assert client.set("k", ANYTHING)
        assert client.get("k") == ANYTHING
        assert client.get("none") is None
        with client.pipeline(transaction=False) as pipeline:
            assert pipeline.incr("n").incr("n").rpush("l", "a", "b").execute() == [1, 2, 2]


def test_redis_benchmark(serve: Callable[..., Server]) -> None:
    benchmark(start(serve))


@pytest.mark.parametrize("backend", ["asyncio"])
def test_redis_benchmark_on_uvloop(serve: Callable[..., Server]) -> None:
    uvloop = pytest.importorskip("uvloop")
    benchmark(start(serve, loop_factory=uvloop.new_event_loop))

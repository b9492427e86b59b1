"""Subscriptions of examples/pubsub.py: frame by frame in RESP2 and RESP3, and by redis-py on every loop."""

from __future__ import annotations

from typing import Any

import pytest

from examples import pubsub
from examples.pubsub import Call, PubSubParser, router
from tests.examples.test_resp import call
from tests.serving import THREE, make, running
from tests.wire import Wire


def frame(*items: Any, mark: bytes = b"*") -> bytes:
    """An array, or with `mark` a push, of strings, numbers and None."""
    return b"%b%d\r\n" % (mark, len(items)) + b"".join(
        b":%d\r\n" % item if isinstance(item, int) else b"$%d\r\n%b\r\n" % (len(item), item) for item in items
    )


def clients(count: int) -> list[Wire]:
    first = Wire(router, PubSubParser, Call)
    return [first, *(Wire(router, PubSubParser, Call, service=first.service) for _ in range(count - 1))]


@pytest.mark.parametrize(("version", "mark"), [(b"2", b"*"), (b"3", b">")])
def test_messages_come_to_those_that_have_subscribed(version: bytes, mark: bytes) -> None:
    one, other, publisher = clients(3)
    for wire in (one, other):
        wire.send(call(b"HELLO", version))
        wire.transport.sent.clear()
    one.send(call(b"SUBSCRIBE", b"a", b"b", b"a"))
    assert one.received == b"".join(
        frame(b"subscribe", name, count, mark=mark) for name, count in ((b"a", 1), (b"b", 2), (b"a", 2))
    )
    other.send(call(b"SUBSCRIBE", b"a"))
    for wire in (one, other):
        wire.transport.sent.clear()
    publisher.send(call(b"PUBLISH", b"a", b"1"), call(b"PUBLISH", b"b", b"2"), call(b"PUBLISH", b"c", b"3"))
    assert publisher.received == b":2\r\n:1\r\n:0\r\n"
    assert one.received == frame(b"message", b"a", b"1", mark=mark) + frame(b"message", b"b", b"2", mark=mark)
    assert other.received == frame(b"message", b"a", b"1", mark=mark)
    one.transport.sent.clear()
    one.send(call(b"UNSUBSCRIBE", b"a"), call(b"UNSUBSCRIBE"))
    assert one.received == frame(b"unsubscribe", b"a", 1, mark=mark) + frame(
        b"unsubscribe", b"b", 0, mark=mark
    )
    other.lose()
    assert publisher.send(call(b"PUBLISH", b"a", b"4")).received.endswith(b":0\r\n")
    assert not pubsub.channels


def test_by_resp2_a_subscriber_only_listens() -> None:
    (wire,) = clients(1)
    wire.send(call(b"PING"), call(b"SUBSCRIBE", b"a"))
    wire.transport.sent.clear()
    wire.send(call(b"PING"), call(b"PING", b"x"), call(b"ECHO", b"x"))
    assert wire.received == frame(b"pong", b"") + frame(b"pong", b"x") + (
        b"-ERR Can't execute 'echo': "
        b"only SUBSCRIBE / UNSUBSCRIBE / PING / QUIT are allowed in this context\r\n"
    )
    wire.transport.sent.clear()
    wire.send(call(b"UNSUBSCRIBE"), call(b"UNSUBSCRIBE"), call(b"ECHO", b"x"))
    assert wire.received == (
        frame(b"unsubscribe", b"a", 0) + b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n" + b"$1\r\nx\r\n"
    )
    wire.lose()


def test_by_resp3_it_may_call_and_gets_its_own_message_behind_the_answer() -> None:
    (wire,) = clients(1)
    wire.send(call(b"HELLO", b"3"), call(b"SUBSCRIBE", b"a"))
    wire.transport.sent.clear()
    wire.send(call(b"PUBLISH", b"a", b"x"))
    assert wire.received == b":1\r\n" + frame(b"message", b"a", b"x", mark=b">")
    assert wire.send(call(b"PING")).received.endswith(b"+PONG\r\n")
    wire.lose()


def test_what_is_wrong_is_an_error_and_the_connection_goes_on() -> None:
    (wire,) = clients(1)
    wire.send(call(b"SUBSCRIBE"), call(b"PUBLISH", b"a"), call(b"FLY"), call(b"PING"))
    assert wire.received == (
        b"-ERR wrong number of arguments for 'subscribe' command\r\n"
        b"-ERR wrong number of arguments for 'publish' command\r\n"
        b"-ERR unknown command 'fly'\r\n+PONG\r\n"
    )


@pytest.mark.parametrize("loop", THREE)
@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(loop: str, protocol: int) -> None:
    redis = pytest.importorskip("redis", reason="redis is not installed")
    server = make(loop, router, parser_class=PubSubParser, request_class=Call)
    with running(server), redis.Redis(port=server.port, protocol=protocol) as client:
        with client.pubsub() as listener:
            listener.subscribe("news", "sport")
            assert [listener.get_message(timeout=5)["type"] for _ in range(2)] == ["subscribe"] * 2
            assert client.publish("news", b"\xff\r\n") == 1
            message = listener.get_message(timeout=5)
            assert (message["type"], message["channel"], message["data"]) == ("message", b"news", b"\xff\r\n")
            listener.unsubscribe()
            assert [listener.get_message(timeout=5)["type"] for _ in range(2)] == ["unsubscribe"] * 2
        assert client.publish("news", b"x") == 0

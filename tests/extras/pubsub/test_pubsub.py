"""Publish and subscribe: the same in memory and by Redis, on every loop that has it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from kissapi import Request, Router, sleep, spawn, timeout
from kissapi.extras.pubsub import Message, PubSub
from kissapi.extras.pubsub.subscription import MOST
from kissapi.extras.testing import Client
from tests.extras.pubsub.within import Place, each_line


@each_line
def test_messages_come_in_their_order(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        async with hub.subscribe("a", "b", "a") as both, hub.subscribe("b") as one:
            await hub.publish("a", "text ☕")
            await hub.publish("c", "unheard")
            await hub.publish("b", b"\xff\x00")
            await hub.publish("b", bytearray(b"x"))
            await hub.publish("a", {"n": [1, None]})
            got = [await anext(both) for _ in range(4)]
            assert got == [("a", "text ☕".encode(), False), ("b", b"\xff\x00", False), *got[2:]]
            assert (got[0].text, got[2].channel, got[2].data) == ("text ☕", "b", b"x")
            assert got[3].json == {"n": [1, None]}
            assert [(await anext(one)).data for _ in range(2)] == [b"\xff\x00", b"x"]
        await none_left(place, hub)

    place.run(body)


@each_line
def test_a_loop_that_is_left_leaves_no_subscription(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        async def publish() -> None:
            while True:
                await hub.publish("a", "x")
                await sleep(0.001)

        publisher = spawn(publish())
        async for message in hub.subscribe("a"):
            assert message.text == "x"
            assert place.subscribers(hub, "a") == 1
            break
        publisher.cancel()
        await none_left(place, hub)

    place.run(body)


@each_line
def test_a_task_that_is_cancelled_leaves_no_subscription(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        async def plain() -> None:
            async for message in hub.subscribe("a"):
                raise AssertionError(message)

        async def block() -> None:
            async with hub.subscribe("a") as messages:
                async for message in messages:
                    raise AssertionError(message)

        tasks = [spawn(each()) for each in (plain, block) * 10]
        early = [spawn(each()) for each in (plain, block)]
        for task in early:
            task.cancel()  # before it has begun
        while place.subscribers(hub, "a") < (1 if place.redis else 20):
            await sleep(0.001)
        late = [spawn(each()) for each in (plain, block)]
        await sleep(0)
        for task in [*tasks, *late]:
            task.cancel()  # some while they subscribe
        await none_left(place, hub)

    place.run(body)


async def none_left(place: Place, hub: PubSub) -> None:
    async with timeout(5):
        while place.subscribers(hub, "a"):
            await sleep(0.001)


@each_line
def test_a_slow_subscriber_loses_the_oldest(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        async with (
            hub.subscribe("a", size=3) as plain,
            hub.subscribe("a", size=3, gaps=True) as told,
            hub.subscribe("a", size=1, gaps=True) as one,
            hub.subscribe("a") as quick,
        ):
            for number in range(10):
                await hub.publish("a", number)
                assert (await anext(quick)).json == number  # so each has come to all of them
            assert [(await anext(plain)).json for _ in range(3)] == [7, 8, 9]
            assert await anext(told) == Message("", b"", missed=True)
            assert [(await anext(told)).json for _ in range(3)] == [7, 8, 9]
            assert [(await anext(one)).missed for _ in range(2)] == [True, False]
            await hub.publish("a", 10)
            for messages in (plain, told, one):
                assert (await anext(messages)).json == 10
            assert repr(plain) == "<Subscription to a: 0 wait>"

    place.run(body)


@each_line
def test_a_slow_subscriber_keeps_no_more_than_a_megabyte(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        async with hub.subscribe("a") as messages, hub.subscribe("b") as quick:
            for number in range(5):
                await hub.publish("a", bytes([number]) * (MOST // 2))
            await hub.publish("b", "")
            await anext(quick)
            assert [(await anext(messages)).data[0] for _ in range(2)] == [3, 4]
            await hub.publish("a", bytes(MOST + 1))  # one is always kept
            assert len((await anext(messages)).data) == MOST + 1

    place.run(body)


@each_line
def test_a_burst_reaches_a_subscriber_that_is_not_slow(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        got: list[int] = []

        async def subscribe() -> None:
            nonlocal got
            async for message in hub.subscribe("a", size=32):
                got += [message.json]

        spawn(subscribe())
        await sleep(0.05)
        for number in range(1000):
            await hub.publish("a", number)
        async with timeout(5):
            while len(got) < 1000:
                await sleep(0.001)
        assert got == list(range(1000))

    place.run(body)


@each_line
def test_a_thousand_subscribers(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        got: list[str] = []

        async def subscribe(number: int) -> None:
            nonlocal got
            async for message in hub.subscribe("all", f"room {number}"):
                got += [message.text]

        for number in range(1000):
            spawn(subscribe(number))
        async with timeout(10):
            while place.subscribers(hub, "room 999") < 1:
                await sleep(0.01)
            await hub.publish("all", "hello")
            while len(got) < 1000:
                await sleep(0.001)
            await hub.publish("room 7", "seven")
            while len(got) < 1001:
                await sleep(0.001)
        assert got == ["hello"] * 1000 + ["seven"]

    place.run(body)


# Errors


@each_line
def test_what_is_wrong_says_so(place: Place) -> None:
    async def body(hub: PubSub) -> None:
        for wrong, words in (((), "has channels"), ((7,), "called by a str"), ((b"a",), "called by a str")):
            with pytest.raises(TypeError, match=words):
                hub.subscribe(*wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="size"):
            hub.subscribe("a", size=0)
        with pytest.raises(TypeError, match="called by a str"):
            await hub.publish(None, "x")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="complex"):
            await hub.publish("a", 1j)
        async with hub.subscribe("a") as messages:
            with pytest.raises(RuntimeError, match="for one block"):
                await messages.__aenter__()
            await hub.publish("a", b"\xff")
            message = await anext(messages)
            with pytest.raises(ValueError, match="the message in 'a' is not JSON: "):
                print(message.json)
            with pytest.raises(UnicodeDecodeError):
                print(message.text)
        assert [each async for each in messages] == []  # it is over

    place.run(body)


def test_a_hub_lives_in_a_router(backend: str) -> None:
    hub, router = PubSub(), Router()

    @router.get("/")
    async def publish(req: Request) -> None:
        await hub.publish("a", "x")

    client = Client(router, backend)
    assert client.get("/").status == 500
    assert "this hub is not alive here: router.lifespan(hub.lifespan)" in "".join(client.log)
    router = Router()
    router.lifespan(hub.lifespan)
    other = Router()
    other.lifespan(hub.lifespan)
    router.mount("/", other)
    with pytest.raises(RuntimeError, match="to one router alone"), Client(router, backend):
        pass


def test_a_wrong_url() -> None:
    pytest.importorskip("redis")
    with pytest.raises(ValueError, match="redis://"):
        PubSub("postgres://")
    with pytest.raises(ValueError, match="redis://"):
        PubSub("")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("kissapi.extras.pubsub.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    PubSub()
    with pytest.raises(ImportError, match=r"with redis:// takes a package: pip install 'kissapi\[redis\]'"):
        PubSub("redis://user:secret@cache")


def test_in_the_time_of_the_test_client(backend: str) -> None:
    hub, router = PubSub(), Router()
    router.lifespan(hub.lifespan)

    async def ring() -> None:
        await sleep(3600)
        await hub.publish("bell", "ding")

    @router.get("/")
    async def wait(req: Request) -> Any:
        async with hub.subscribe("bell") as messages:
            spawn(ring())
            return (await anext(messages)).text

    with Client(router, backend) as client:
        assert client.get("/").text == "ding"

r"""Publish and subscribe, for clients of Redis: `redis-cli -p 8000 subscribe news`. resp.py has the protocol.

$ printf 'SUBSCRIBE news\r\nPUBLISH news hi\r\nQUIT\r\n' | nc -N localhost 8000
*3
$9
subscribe
$4
news
:1
-ERR Can't execute 'publish': only SUBSCRIBE / UNSUBSCRIBE / PING / QUIT are allowed in this context
+OK
$ printf 'HELLO 3\r\nSUBSCRIBE news\r\nPUBLISH news hi\r\n' | nc -N localhost 8000 | tail -n 8
:1
>3
$7
message
$4
news
$2
hi
"""

from collections.abc import AsyncIterator
from typing import Any

from examples import resp
from examples.resp import Push, RespParser, words_of
from kissapi import Fail, Router, Server


class Subscriber(resp.Client):
    def connected(self) -> None:
        self.channels = set[bytes]()

    def lost(self, why: str) -> None:
        for name in tuple(self.channels):
            self.leave(name)

    def join(self, name: bytes) -> None:
        self.channels.add(name)
        channels.setdefault(name, set()).add(self)

    def leave(self, name: bytes) -> None:
        if name in self.channels:
            self.channels.remove(name)
            channels[name].remove(self)
            if not channels[name]:
                del channels[name]

    @property
    def only_listens(self) -> bool:
        return self.protocol == 2 and bool(self.channels)  # RESP2 cannot tell pushes from answers


class Call(resp.Call):
    link: Subscriber


class PubSubParser(RespParser):
    link_class = Subscriber


channels: dict[bytes, set[Subscriber]] = {}
router = Router()
router.mount("/", resp.router)


@router.before(nested=True)
def listen(call: Call) -> None:
    if call.link.only_listens and call.path not in ("/subscribe", "/unsubscribe", "/ping", "/quit"):
        these = "SUBSCRIBE / UNSUBSCRIBE / PING / QUIT are allowed in this context"
        raise Fail(400, f"ERR Can't execute '{call.path[1:]}': only {these}")


@router.after(nested=True)
def pong(call: Call, result: Any) -> Any:
    if call.link.only_listens and call.path == "/ping":
        return [b"pong", *(call.words or [b""])]
    return None


@router.route("/subscribe", ["CALL"])
async def subscribe(call: Call) -> AsyncIterator[Push]:
    for name in words_of(call, 1):
        call.link.join(name)
        yield Push([b"subscribe", name, len(call.link.channels)])


@router.route("/unsubscribe", ["CALL"])
async def unsubscribe(call: Call) -> AsyncIterator[Push]:
    names: list[Any] = call.words or sorted(call.link.channels) or [None]
    for name in names:
        call.link.leave(name)
        yield Push([b"unsubscribe", name, len(call.link.channels)])


@router.route("/publish", ["CALL"])
async def publish(call: Call) -> int:
    name, text = words_of(call, 2, 2)
    clients = tuple(channels.get(name, ()))
    for client in clients:
        client.push(Push([b"message", name, text]))
    return len(clients)


server = Server(router=router, parser_class=PubSubParser, request_class=Call)

if __name__ == "__main__":
    server.loop()

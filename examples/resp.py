r"""A protocol that has clients: RESP, which redis speaks. Two are redis-cli -p 8000 and redis-benchmark -p 8000.

$ printf 'SET hits 41\r\nINCR hits\r\nRPUSH hits 1\r\nGET nobody\r\nFLY\r\n' | nc -N localhost 8000
+OK
:42
-WRONGTYPE Operation against a key holding the wrong kind of value
$-1
-ERR unknown command 'fly'
"""

import re
from collections.abc import Callable
from typing import Any

from kissapi import Fail, Request, Response, Router, Server

MANY = 99_999_999  # longer numbers are refused; what is too much before that, the server's limits say


class Call(Request):
    words: list[bytes]  # behind the name of the command


class RespParser:
    """A call is an array of strings, each behind its length, or a line of words."""

    def __init__(self, call: Call) -> None:
        self.call, self.words, self.missing = call, list[bytes](), 0
        self.held, self.need = bytearray(), 0  # what cannot be read before it has so many bytes
        self._finished = False

    def feed_data(self, data: bytes) -> None:
        if self.held:
            self.held += data
            if len(self.held) < self.need:
                return
            data, self.held = bytes(self.held), bytearray()
        at = self.need = 0
        while not self._finished and (start := data.find(b"\n", at) + 1):
            line, end = data[at:start], start
            if self.missing:
                end += number(b"$", line) + 2
                if end > len(data):
                    self.need = end - at
                    break
                self.words.append(data[start : end - 2])
                self.missing -= 1
            elif line.startswith(b"*"):
                self.missing = number(b"*", line)
            else:
                self.words = line.split()
            at = end
            self._finished = bool(self.words) and not self.missing
        if self._finished:
            name, *self.call.words = self.words
            self.call.method, self.call.path = "CALL", "/" + name.decode("latin-1").lower()
            self.unread = data[at:]
        elif not self.need and len(data) - at > 8192:
            raise Fail(400, "ERR Protocol error: too big inline request")
        else:
            self.held += data[at:]
            self.begun = bool(self.missing or self.held)

    def should_keep_alive(self) -> bool:
        return self.call.path != "/quit"

    def encode(self, response: Response) -> bytes:
        assert isinstance(response.body, bytes)  # nothing here streams
        return response.body if response.status < 400 else b"-%b\r\n" % b" ".join(response.body.split())


def number(mark: bytes, line: bytes) -> int:
    if line[:1] == mark and line[-2:] == b"\r\n" and line[1:-2].isdigit() and len(line) < 12:
        return int(line[1:-2])
    raise Fail(400, f"ERR Protocol error: expected {mark.decode()} and a length")


def reply(result: Any) -> bytes:
    if isinstance(result, list):
        return b"*%d\r\n%b" % (len(result), b"".join(map(reply, result)))
    if isinstance(result, bytes):
        return b"$%d\r\n%b\r\n" % (len(result), result)
    if isinstance(result, str):
        return b"+%b\r\n" % result.encode()
    return b"$-1\r\n" if result is None else b":%d\r\n" % result


router = Router()
store: dict[bytes, Any] = {}


def command(name: str, least: int, most: int, answer: Callable[..., Any]) -> None:
    async def handler(call: Call) -> bytes:
        if not least <= len(call.words) <= most:
            raise Fail(400, f"ERR wrong number of arguments for '{name}' command")
        return reply(answer(*call.words))

    router.add_route("CALL", f"/{name}", handler)


@router.on_error(404)
async def unknown(call: Call, error: Fail) -> str:
    return f"ERR unknown command '{call.path[1:]}'"


def look(key: bytes, kind: type) -> Any:
    value = store.get(key)
    if value is not None and not isinstance(value, kind):
        raise Fail(400, "WRONGTYPE Operation against a key holding the wrong kind of value")
    return value


def put(key: bytes, value: bytes) -> str:
    store[key] = value
    return "OK"


def increment(key: bytes) -> int:
    text = look(key, bytes) or b"0"
    if not re.fullmatch(rb"0|-?[1-9]\d{0,17}", text):
        raise Fail(400, "ERR value is not an integer or out of range")
    store[key] = b"%d" % (int(text) + 1)
    return int(text) + 1


def push(key: bytes, *items: bytes) -> int:
    store[key] = [*(look(key, list) or ()), *items]
    return len(store[key])


command("ping", 0, 1, lambda text="PONG": text)
command("get", 1, 1, lambda key: look(key, bytes))
command("set", 2, 2, put)
command("del", 1, MANY, lambda *keys: sum(store.pop(key, None) is not None for key in keys))
command("incr", 1, 1, increment)
command("rpush", 2, MANY, push)
command("command", 0, MANY, lambda *words: [])  # from here on, what clients say and ask when they connect
command("config", 2, 2, lambda get, name: [name, b""])
command("client", 1, MANY, lambda *words: "OK")
command("quit", 0, 0, lambda: "OK")
server = Server(router=router, parser_class=RespParser, request_class=Call, idle_timeout=3600)

if __name__ == "__main__":
    server.loop()

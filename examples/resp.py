r"""RESP, the protocol of Redis: `redis-cli -p 8000` is a client. store.py and pubsub.py build on this.

$ printf 'PING\r\nECHO hello\r\nHELLO 4\r\nFLY away\r\nQUIT\r\n' | nc -N localhost 8000
+PONG
$5
hello
-NOPROTO unsupported protocol version
-ERR unknown command 'fly'
+OK
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kissapi import Fail, Link, Request, Response, Router, Server

MANY = 99_999  # words of a call: a short word takes seven times as much memory as bytes on the wire


class Client(Link):
    idle_timeout = 3600  # clients keep their connections in pools
    protocol = 2  # or 3, which tells pushes from answers


class Call(Request):
    words: list[bytes]  # after the name of the command
    link: Client


class Push(list[Any]):
    """A message that answers no call."""


class RespParser:
    """A call is an array of strings, each with its length in front, or a line of words."""

    link_class = Client

    def __init__(self, call: Call) -> None:
        self.call, self.words, self.missing = call, list[bytes](), 0
        self.held, self.need = bytearray(), 0  # bytes that cannot be parsed before there are `need` of them
        self.finished = False

    def feed_data(self, data: bytes) -> None:
        if self.held:
            self.held += data
            if len(self.held) < self.need:
                return  # a long string is parsed when it is complete, not once for each piece
            data, self.held = bytes(self.held), bytearray()
        at = self.need = 0
        while start := data.find(b"\n", at) + 1:
            line, end = data[at:start], start
            if self.missing:
                end += number(b"$", line, 8) + 2
                if end > len(data):
                    self.need = end - at
                    break
                if not data.startswith(b"\r\n", end - 2):
                    raise Fail(400, "ERR Protocol error: a string is longer than it says")
                self.words.append(data[start : end - 2])
                self.missing -= 1
            elif line.startswith(b"*"):
                self.missing = number(b"*", line, 5)
            else:
                self.words = line.split()
            at = end
            if self.words and not self.missing:
                name, *self.call.words = self.words
                self.call.method, self.call.path = "CALL", "/" + name.decode("latin-1").lower()
                self.unread, self.finished = data[at:], True
                return
        self.held += data[at:]
        self.begun = bool(self.held or self.missing)
        if not self.need and len(self.held) > 8192:
            raise Fail(400, "ERR Protocol error: too big inline request")

    def should_keep_alive(self) -> bool:
        return self.call.path != "/quit"

    def encode_result(self, result: Any) -> bytes:
        if isinstance(result, bytes):
            return b"$%d\r\n%b\r\n" % (len(result), result)
        if isinstance(result, str):
            return b"+%b\r\n" % result.encode()
        three = self.call.link.protocol == 3
        if isinstance(result, dict):
            items = [item for pair in result.items() for item in pair]
            return (
                b"%%%d\r\n%b" % (len(result), self.encode_all(items)) if three else self.encode_result(items)
            )
        if isinstance(result, list):
            mark = b">" if three and isinstance(result, Push) else b"*"
            return b"%b%d\r\n%b" % (mark, len(result), self.encode_all(result))
        if result is None:
            return b"_\r\n" if three else b"$-1\r\n"
        return b":%d\r\n" % result

    def encode_all(self, results: list[Any]) -> bytes:
        return b"".join(map(self.encode_result, results))

    encode_piece = encode_result  # of a stream, or a push

    def encode(self, response: Response) -> bytes:
        assert isinstance(response.body, bytes)  # streams go by encode_piece
        if response.status < 400:
            return self.encode_result(response.body)
        text = b" ".join(response.body.split())
        return b"-%b%b\r\n" % (b"" if text.partition(b" ")[0].isupper() else b"ERR ", text)


@lru_cache(1024)  # the same few lengths come all the time
def number(mark: bytes, line: bytes, digits: int) -> int:
    if line[:1] == mark and line[-2:] == b"\r\n" and line[1:-2].isdigit() and len(line) <= digits + 3:
        return int(line[1:-2])
    raise Fail(400, f"ERR Protocol error: expected {mark.decode()} and a length of up to {digits} digits")


router = Router()


def command(name: str, least: int, most: int, function: Callable[..., Any]) -> None:
    """A route for calls with `least` to `most` words; `function` gets them, and must not block."""

    async def answer(call: Call) -> Any:
        return function(*words_of(call, least, most))

    router.add_route("CALL", f"/{name}", answer)


def words_of(call: Call, least: int, most: int = MANY) -> list[bytes]:
    if not least <= len(call.words) <= most:
        raise Fail(400, f"ERR wrong number of arguments for '{call.path[1:]}' command")
    return call.words


@router.on_error(404)
async def unknown(call: Call, error: Fail) -> str:
    return f"ERR unknown command '{call.path[1:]}'"


@router.route("/hello", ["CALL"])
async def hello(call: Call) -> dict[bytes, Any]:
    version = (
        call.words[0] if call.words else b"%d" % call.link.protocol
    )  # any user and name behind it will do
    if version not in (b"2", b"3"):
        raise Fail(400, "NOPROTO unsupported protocol version")
    call.link.protocol = int(version)
    return {b"server": b"redis", b"proto": int(version), b"role": b"master", b"modules": []}


command("ping", 0, 1, lambda text="PONG": text)
command("echo", 1, 1, lambda text: text)
command("quit", 0, 0, lambda: "OK")
command("client", 2, 3, lambda *words: "OK")  # from here on, what clients send when they connect
command("config", 2, 2, lambda get, name: [name, b""])
command("command", 0, MANY, lambda *words: [])
server = Server(router=router, parser_class=RespParser, request_class=Call)

if __name__ == "__main__":
    server.loop()

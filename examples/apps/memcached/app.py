"""A cache for the clients of memcached: `python -m kissapi examples.apps.memcached.app:server`."""

import time
from typing import NamedTuple

from kissapi import Fail, Request, Response, Router, Server

LONGEST, LARGEST = 64 * 1024, 1024 * 1024  # bytes of a line, and of a value
STORING = "set", "add", "replace", "append", "prepend", "cas"
ANSWERS = {2: b"%b\r\n", 4: b"CLIENT_ERROR %b\r\n", 5: b"SERVER_ERROR %b\r\n"}
CALL = ["CALL"]


class Command(Request):
    words: list[str]
    data = b""
    quiet = False  # with "noreply"


# A line of words; behind those that store, a block of data.
class Parser:
    def __init__(self, command: Command) -> None:
        self.command, self.held, self.finished = command, bytearray(), False
        self.size: int | None = None  # of the block, with the end of its line; None before the line has come

    def feed_data(self, data: bytes) -> None:
        self.held += data
        if self.size is None:
            line, end, rest = self.held.partition(b"\r\n")
            if len(line) > LONGEST:
                raise Fail(400, "line too long")
            if not end:
                return
            name, *words = line.decode("latin-1").split() or [""]
            self.command.method, self.command.path = "CALL", f"/{name}"
            self.command.quiet = words[-1:] == ["noreply"] or name == "quit"
            self.command.words, self.held, self.size = words[: len(words) - self.command.quiet], rest, 0
            if name in STORING:
                if len(words) < 4 or not words[3].isdecimal():
                    raise Fail(400, "bad command line format")
                if int(words[3]) > LARGEST:
                    raise Fail(413, "object too large for cache")
                self.size = int(words[3]) + 2
        if len(self.held) >= self.size:
            block, self.unread = bytes(self.held[: self.size]), bytes(self.held[self.size :])
            self.command.data, self.finished = block[:-2], True
            if self.size and not block.endswith(b"\r\n"):
                raise Fail(400, "bad data chunk")  # finished, so the connection goes on with what is unread

    def should_keep_alive(self) -> bool:
        return self.command.path != "/quit"

    def encode(self, response: Response) -> bytes:
        assert isinstance(response.body, bytes)  # nothing here streams
        if self.command.quiet:
            return b""
        if response.status == 404:
            return b"ERROR\r\n"
        return ANSWERS[response.status // 100] % response.body


class Item(NamedTuple):
    data: bytes
    flags: int
    expires: float
    unique: int


store: dict[str, Item] = {}
router = Router()
uniques = iter(range(1, 2**64))


def find(key: str) -> Item | None:
    item = store.get(key)
    return item if item and item.expires > time.time() else store.pop(key, None) and None


async def keep(command: Command) -> str:
    key, flags, seconds, _, *unique = command.words
    name, item, data = command.path[1:], find(key), command.data
    if name == "cas" and (item is None or [str(item.unique)] != unique):
        return "EXISTS" if item else "NOT_FOUND"
    if name not in ("set", "cas") and (item is None) != (name == "add"):
        return "NOT_STORED"
    if item and name.endswith("pend"):
        data = item.data + data if name == "append" else data + item.data
    # 0 is never, up to 30 days is from now, more is a time of day.
    due = max(-1, min(int(seconds), 1 << 40))  # a float has an end
    expires = due + time.time() * (due <= 30 * 86400) if due else float("inf")
    store[key] = Item(data, int(flags), expires, next(uniques))
    return "STORED"


for name in STORING:
    router.add_route("CALL", f"/{name}", keep)


@router.route("/get", CALL)
@router.route("/gets", CALL)
async def get(command: Command) -> bytes:
    lines = []
    for key in command.words:
        if item := find(key):
            unique = f" {item.unique}" * (command.path == "/gets")
            lines += [f"VALUE {key} {item.flags} {len(item.data)}{unique}".encode("latin-1"), item.data]
    return b"\r\n".join([*lines, b"END"])


@router.route("/delete", CALL)
async def delete(command: Command) -> str:
    return "DELETED" if any(find(key) and store.pop(key) for key in command.words[:1]) else "NOT_FOUND"


@router.route("/incr", CALL)
@router.route("/decr", CALL)
async def count(command: Command) -> str:
    key, by = command.words
    if (item := find(key)) is None:
        return "NOT_FOUND"
    number = int(item.data) + int(by) if command.path == "/incr" else max(0, int(item.data) - int(by))
    store[key] = item._replace(data=b"%d" % (number % 2**64), unique=next(uniques))
    return str(number % 2**64)


@router.route("/flush_all", CALL)
async def flush_all(command: Command) -> str:
    store.clear()
    return "OK"


@router.route("/version", CALL)
async def version(command: Command) -> str:
    return "VERSION 1.6.0"


@router.on_error(ValueError)
async def wrong(command: Command, error: ValueError) -> Fail:
    return Fail(400, "bad command line format, or a value that is no number")


server = Server(port=11211, router=router, parser_class=Parser, request_class=Command, idle_timeout=3600)

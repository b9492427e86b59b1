r"""A store for clients of Redis: `redis-cli -p 8000`, `redis-benchmark -p 8000`. resp.py has the protocol.

$ printf 'SET hits 41\r\nINCR hits\r\nRPUSH hits 1\r\nGET nobody\r\nDEL hits\r\n' | nc -N localhost 8000
+OK
:42
-WRONGTYPE Operation against a key holding the wrong kind of value
$-1
:1
"""

import re
from typing import Any

from examples.resp import MANY, command, server
from kissapi import Fail

INTEGER = re.compile(rb"0|-?[1-9]\d{0,18}")
store: dict[bytes, bytes | list[bytes]] = {}


def look(key: bytes, kind: type, missing: Any = None) -> Any:
    value = store.get(key, missing)
    if value is missing or isinstance(value, kind):
        return value
    raise Fail(400, "WRONGTYPE Operation against a key holding the wrong kind of value")


def put(key: bytes, value: bytes, *options: bytes) -> str | None:
    condition = b" ".join(options).upper()
    if condition not in (b"", b"NX", b"XX"):
        raise Fail(400, "ERR syntax error")
    if condition and (key in store) == (condition == b"NX"):
        return None
    store[key] = value
    return "OK"


def delete(*keys: bytes) -> int:
    return sum(store.pop(key, None) is not None for key in keys)


def integer(text: bytes) -> int:
    if INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    raise Fail(400, "ERR value is not an integer or out of range")


def increment(key: bytes, by: bytes = b"1") -> int:
    value = integer(look(key, bytes, b"0")) + integer(by)
    if not -(2**63) <= value < 2**63:
        raise Fail(400, "ERR increment or decrement would overflow")
    store[key] = b"%d" % value
    return value


def push(key: bytes, *items: bytes) -> int:
    store[key] = values = look(key, list, [])
    values.extend(items)
    return len(values)


command("get", 1, 1, lambda key: look(key, bytes))
command("set", 2, MANY, put)
command("del", 1, MANY, delete)
command("incr", 1, 1, increment)
command("incrby", 2, 2, increment)
command("rpush", 2, MANY, push)

if __name__ == "__main__":
    server.loop()

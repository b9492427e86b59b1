r"""A binary protocol and its client: a queue. A frame is 4 bytes of length, 1 of code, and a payload.

Code 1 puts the payload in the queue, code 2 takes the oldest one out. An answer has code 0, or is an error.

$ printf '\0\0\0\6\1hello\0\0\0\1\2' | nc -N localhost 8000 | od -An -tx1
 00 00 00 01 00 00 00 00 06 00 68 65 6c 6c 6f
$ printf '\0\0\0\1\2' | nc -N localhost 8000 | tail -c +6
the queue is empty
"""

import struct
from collections import deque
from typing import BinaryIO

from kissapi import Fail, Request, Response, Router, Server

HEAD = struct.Struct(">IB")
PATHS = {1: "/put", 2: "/take"}
LONGEST, MOST = 16 * 1024, 1000  # bytes of a frame after its length; payloads in the queue


class FrameParser:
    def __init__(self, request: Request) -> None:
        self.request, self.held, self.finished = request, b"", False

    def feed_data(self, data: bytes) -> None:
        self.held += data  # at most a frame and a read: few enough bytes to join again and again
        if len(self.held) < 4:
            return
        end = 4 + int.from_bytes(self.held[:4])
        if not 4 < end <= 4 + LONGEST:
            raise Fail(413, f"a frame has 1 to {LONGEST} bytes after its length, not {end - 4}")
        if len(self.held) >= end:
            self.request.method, self.request.path = "CALL", PATHS.get(self.held[4], f"/{self.held[4]}")
            self.request.body, self.unread = self.held[5:end], self.held[end:]
            self.finished = True

    def should_keep_alive(self) -> bool:
        return True

    def encode(self, response: Response) -> bytes:
        assert isinstance(response.body, bytes)  # nothing here streams
        code = response.status // 100 if response.status >= 400 else 0
        return HEAD.pack(len(response.body) + 1, code) + response.body


def ask(stream: BinaryIO, code: int, payload: bytes = b"") -> bytes:
    """The client; `stream` is `socket.makefile("rwb")`. Raises `ValueError` with the text of an error."""
    stream.write(HEAD.pack(len(payload) + 1, code) + payload)
    stream.flush()
    size, code = HEAD.unpack(stream.read(HEAD.size))
    answer = stream.read(size - 1)
    if code:
        raise ValueError(answer.decode())
    return answer


router = Router()
queue: deque[bytes] = deque()


@router.route("/put", ["CALL"])
async def put(call: Request) -> bytes:
    if len(queue) == MOST:
        raise Fail(503, "the queue is full")
    queue.append(call.body)
    return b""


@router.route("/take", ["CALL"])
async def take(call: Request) -> bytes:
    if not queue:
        raise Fail(404, "the queue is empty")
    return queue.popleft()


server = Server(router=router, parser_class=FrameParser)

if __name__ == "__main__":
    server.loop()

r"""A protocol of your own, in both directions: calls and answers are lines; many calls may be sent at once.

$ printf 'add 1 2\nadd 1 two\nsay hi\n' | nc -N localhost 8000
= 3.0
! 400 add takes numbers
! 404 Not Found
"""

from kissapi import Fail, Request, Response, Router, Server


class Call(Request):
    words: list[str]


class LineParser:
    def __init__(self, call: Call) -> None:
        self.call, self.line, self.unread, self.finished = call, b"", b"", False

    def feed_data(self, data: bytes) -> None:
        self.line, end, self.unread = (self.line + data).partition(b"\n")
        if end:
            name, *self.call.words = self.line.decode().split()
            self.call.method, self.call.path = "CALL", f"/{name}"
            self.finished = True

    def encode(self, response: Response) -> bytes:
        assert isinstance(response.body, bytes)  # nothing here streams
        mark = b"=" if response.status < 400 else b"! %d" % response.status
        return b"%b %b\n" % (mark, response.body)


router = Router()


@router.route("/add", methods=["CALL"])
async def add(call: Call) -> float:
    try:
        return sum(map(float, call.words))
    except ValueError:
        raise Fail(400, "add takes numbers") from None


server = Server(router=router, parser_class=LineParser, request_class=Call)

if __name__ == "__main__":
    server.loop()

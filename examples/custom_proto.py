r"""A parser of your own: a request is `GET /path`, then an empty line. All the rest stays as it was.

$ printf 'GET /hello\r\n\r\n' | nc -N localhost 8000
HTTP/1.1 200 OK
Content-Type: text/plain
Content-Length: 5
Date: Sun, 22 Nov 2026 12:35:01 GMT

world
"""

# mypy: allow-untyped-defs

from kissapi import Request, Router, Server


class MyParser:
    def __init__(self, request):
        self.request = request
        self.finished = False
        self._buffer = b""

    def feed_data(self, data):
        self._buffer += data
        if b"\r\n\r\n" in self._buffer:
            header_part, body = self._buffer.split(b"\r\n\r\n", 1)
            lines = header_part.split(b"\r\n")
            command, path = lines[0].split(b" ", 1)
            self.request.method = command.decode()
            self.request.path = path.decode()
            self.finished = True


router = Router()


@router.get("/hello")
async def hello(req: Request) -> str:
    return "world"


server = Server(router=router, parser_class=MyParser)

if __name__ == "__main__":
    server.loop()

"""A generator streams: each piece is sent when it is made. (`-N` keeps curl from buffering.)

$ curl -N localhost:8000/count/3
1
2
3
$ curl -N localhost:8000/slices
bread
and butter
"""

from collections.abc import AsyncIterator, Iterator

from kissapi import Request, Router, Server, sleep

router = Router()


@router.get("/count/{n:int}")
async def count(req: Request) -> AsyncIterator[str]:
    for number in range(1, req.params["n"] + 1):
        yield f"{number}\n"
        await sleep(0.1)


@router.get("/slices")
def slices(req: Request) -> Iterator[str | bytes]:  # runs in a worker thread, so it may block
    yield "bread\n"
    yield b"and butter\n"


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

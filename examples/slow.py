"""Three ways to wait; none of them delays the other clients.

$ curl localhost:8000/sleep
slept on the loop
$ curl localhost:8000/block
blocked a worker thread
$ curl localhost:8000/both
blocked a worker thread, then slept on the loop
"""

import time

from kissapi import Request, Router, Server, sleep, to_thread

router = Router()


@router.get("/sleep")
async def wait(req: Request) -> str:
    await sleep(0.2)
    return "slept on the loop"


@router.get("/block")
def block(req: Request) -> str:  # a plain def runs in a worker thread
    time.sleep(0.2)
    return "blocked a worker thread"


@router.get("/both")
async def both(req: Request) -> str:
    first = await to_thread(block, req)
    return f"{first}, then {await wait(req)}"


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

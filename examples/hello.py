"""The quick start: one route, no configuration.

$ curl localhost:8000/
Hello, world!
"""

# mypy: allow-untyped-defs, allow-incomplete-defs

from kissapi import Request, Router, Server

router = Router()


@router.get("/")
async def hello(req: Request):
    return "Hello, world!"


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

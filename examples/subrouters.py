"""Routers mounted below a prefix, to any depth; and Fail, the exception that becomes the answer.

$ curl localhost:8000/api/v1
{"version":1}
$ curl localhost:8000/api/v1/admin/secret
Forbidden
$ curl localhost:8000/api/v1/teapot
{"error":"I am a teapot"}
"""

from kissapi import Fail, Request, Router, Server

root, api, admin = Router(), Router(), Router()
root["/api/v1"] = api  # the same as root.mount("/api/v1", api)
api["/admin"] = admin


@api.get("/")
async def version(req: Request) -> dict[str, int]:
    return {"version": 1}


@api.get("/teapot")
async def teapot(req: Request) -> None:
    raise Fail(418, {"error": "I am a teapot"})


@admin.get("/secret")
async def secret(req: Request) -> str:
    if "authorization" not in req.headers:
        raise Fail(403, "Forbidden")
    return "the cake is a lie"


server = Server(router=root)

if __name__ == "__main__":
    server.loop()

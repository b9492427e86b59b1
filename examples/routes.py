"""Paths: parameters, typed ones, the rest of a path, several methods on one path.

$ curl localhost:8000/users/ann%20lee
user 'ann lee'
$ curl localhost:8000/double/21
{"double":42}
$ curl localhost:8000/files/docs/a.txt
file docs/a.txt
$ curl -d tea localhost:8000/order
ordered tea
$ curl -X DELETE localhost:8000/order
Method Not Allowed
"""

from kissapi import Request, Router, Server

router = Router()


@router.get("/users/{id}")
async def user(req: Request) -> str:
    return f"user {req.params['id']!r}"


@router.get("/double/{n:int}")  # `/double/x` is 404
async def double(req: Request) -> dict[str, int]:
    return {"double": req.params["n"] * 2}


@router.get("/files/{name:path}")
async def file(req: Request) -> str:
    return f"file {req.params['name']}"


@router.route("/order", methods=["GET", "POST"])
async def order(req: Request) -> str:
    return f"ordered {req.text}" if req.method == "POST" else "what would you like?"


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

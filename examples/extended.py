"""Path parameters and hooks: a before hook finds the user, an after hook wraps the result of the handler.

$ curl -H 'Authorization: ann' localhost:8000/notes/7
{"user":"ann","data":{"id":7}}
$ curl localhost:8000/notes/7
Who are you?
"""

from typing import Any

from kissapi import Fail, Request, Router, Server

router = Router()


async def who(req: Request) -> None:
    if "authorization" not in req.headers:
        raise Fail(401, "Who are you?")
    req.state.user = req.headers["authorization"]


async def wrap(req: Request, result: Any) -> Any:
    return {"user": req.state.user, "data": result}


router.add_hook("before", who)
router.add_hook("after", wrap)


@router.get("/notes/{id:int}")
async def note(req: Request) -> dict[str, int]:
    return {"id": req.params["id"]}


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

"""JSON in and out: a store of notes, in memory.

$ curl -d '{"text": "buy milk"}' localhost:8000/notes
{"id":1,"text":"buy milk"}
$ curl -d 'buy milk' localhost:8000/notes
Bad Request: the body is not JSON at position 0
$ curl localhost:8000/notes/1
{"id":1,"text":"buy milk"}
$ curl localhost:8000/notes/2
{"error":"no note 2"}
"""

from typing import Any

from kissapi import Fail, Request, Response, Router, Server

router = Router()
notes: dict[int, dict[str, Any]] = {}


@router.post("/notes")
async def add(req: Request) -> Response:
    note = {"id": len(notes) + 1, "text": req.json["text"]}
    notes[note["id"]] = note
    return Response(note, 201, {"Location": f"/notes/{note['id']}"})


@router.get("/notes/{id:int}")
async def one(req: Request) -> dict[str, Any]:
    number = req.params["id"]
    if number not in notes:
        raise Fail(404, {"error": f"no note {number}"})
    return notes[number]


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

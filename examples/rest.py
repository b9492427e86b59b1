"""A JSON API over a database, and its page. The handlers are plain functions, because sqlite3 blocks.

$ curl -d '{"text": "buy milk"}' localhost:8000/tasks
{"id":1,"text":"buy milk","done":false}
$ curl -X PATCH -d '{"done": true}' localhost:8000/tasks/1
{"id":1,"text":"buy milk","done":true}
$ curl -X PATCH -d '{"done": "perhaps"}' localhost:8000/tasks/1
{"error":"done is true or false"}
$ curl localhost:8000/tasks
[{"id":1,"text":"buy milk","done":true}]
$ curl -X DELETE localhost:8000/tasks/1
$ curl localhost:8000/tasks/1
{"error":"no task 1"}
"""

import sqlite3
from pathlib import Path
from threading import Lock
from typing import Any

from kissapi import Fail, Request, Response, Router, Server, html

PAGE = Path(__file__).with_suffix(".html")

database = sqlite3.connect(":memory:", check_same_thread=False)
database.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, text TEXT, done BOOLEAN DEFAULT FALSE)")
one_at_a_time = Lock()
router = Router()


def tasks(statement: str, *values: Any) -> list[dict[str, Any]]:
    with one_at_a_time, database:  # a transaction: all of it, or nothing
        rows = database.execute(statement, values).fetchall()
    return [{"id": number, "text": text, "done": bool(done)} for number, text, done in rows]


def the_one(req: Request, statement: str, *values: Any) -> dict[str, Any]:
    number = req.params["id"]
    for task in tasks(statement, *values, number) if number < 1 << 63 else []:  # SQLite's largest integer
        return task
    raise Fail(404, {"error": f"no task {number}"})


@router.get("/")
def page(req: Request) -> Response:
    return html(PAGE.read_text("utf-8"))


@router.get("/tasks")
def every(req: Request) -> list[dict[str, Any]]:
    return tasks("SELECT * FROM tasks ORDER BY id")


@router.post("/tasks")
def add(req: Request) -> Response:
    task = req.json
    if not isinstance(task, dict) or not isinstance(task.get("text"), str):
        raise Fail(400, {"error": "a task has a text"})
    (task,) = tasks("INSERT INTO tasks (text) VALUES (?) RETURNING *", task["text"])
    return Response(task, 201, {"Location": f"/tasks/{task['id']}"})


@router.get("/tasks/{id:int}")
def one(req: Request) -> dict[str, Any]:
    return the_one(req, "SELECT * FROM tasks WHERE id = ?")


@router.patch("/tasks/{id:int}")
def change(req: Request) -> dict[str, Any]:
    if not isinstance(req.json, dict) or not isinstance(req.json.get("done"), bool):
        raise Fail(400, {"error": "done is true or false"})
    return the_one(req, "UPDATE tasks SET done = ? WHERE id = ? RETURNING *", req.json["done"])


@router.delete("/tasks/{id:int}")
def remove(req: Request) -> None:
    the_one(req, "DELETE FROM tasks WHERE id = ? RETURNING *")


server = Server(router=router)
server.on_stop(database.close)

if __name__ == "__main__":
    server.loop()

"""A database whose driver blocks: plain `def` handlers, and a pool that their threads share.

The transaction is a block in the handler, and no around hook: if a client leaves, hooks end at once, but its
thread is still at work with the connection.

$ curl --json '{"text": "buy milk"}' localhost:8000/notes
{"id":1,"text":"buy milk"}
$ curl localhost:8000/notes
[{"id":1,"text":"buy milk"}]
"""

import os
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import msgspec

from kissapi import App, Request, Response, Router, Server

SIZE = 5
SCHEMA = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"


class NewNote(msgspec.Struct):
    """What a client sends: anything else is a 422."""

    text: str


class Notes(App):
    free: SimpleQueue[sqlite3.Connection]


class Req(Request):
    app: Notes


router = Router()


@router.lifespan
async def connect(app: Notes) -> AsyncGenerator[None, None]:
    name = os.environ.get("DATABASE", "notes.db")
    connections = [sqlite3.connect(name, timeout=5, check_same_thread=False) for _ in range(SIZE)]
    app.free = SimpleQueue()
    for connection in connections:
        app.free.put(connection)
    try:
        connections[0].execute("PRAGMA journal_mode=WAL")  # readers and a writer at the same time
        connections[0].execute(SCHEMA)
        yield
    finally:
        for connection in connections:
            connection.close()


@contextmanager
def transaction(req: Req) -> Iterator[sqlite3.Connection]:
    """A connection, for one thread alone. All of the block is done, or, if it raises, nothing."""
    connection = req.app.free.get()  # waits in the thread until one is free
    try:
        with connection:
            yield connection
    finally:
        req.app.free.put(connection)


@router.post("/notes")
def add(req: Req, note: NewNote) -> Response:
    with transaction(req) as db:
        number = db.execute("INSERT INTO notes (text) VALUES (?)", (note.text,)).lastrowid
    return Response({"id": number, "text": note.text}, 201)


@router.get("/notes")
def every(req: Req) -> list[dict[str, object]]:
    with transaction(req) as db:
        rows = db.execute("SELECT id, text FROM notes ORDER BY id").fetchall()
    return [{"id": number, "text": text} for number, text in rows]


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

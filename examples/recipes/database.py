"""A database: a pool of connections for each loop, and one transaction around each request.

aiosqlite stands for any driver of asyncio's kind. One that brings a pool (asyncpg, psycopg_pool) takes the
place of `Pool`; `transaction` stays as it is.

$ curl --json '{"text": "buy milk"}' localhost:8000/notes
{"id":1,"text":"buy milk"}
$ curl localhost:8000/notes
[{"id":1,"text":"buy milk"}]
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import aiosqlite
import msgspec

from kissapi import App, Queue, Request, Response, Router, Server

SIZE = 5
SCHEMA = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)"


class Pool:
    """Connections that one request after the other uses."""

    def __init__(self, *connections: aiosqlite.Connection) -> None:
        self.connections = connections
        self.free: Queue[aiosqlite.Connection] = Queue()
        for connection in connections:
            self.free.put_nowait(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[aiosqlite.Connection]:
        """One of them, alone; what is not committed at the end of the block is rolled back."""
        connection = await self.free.get()
        try:
            yield connection
        finally:
            await connection.rollback()
            self.free.put_nowait(connection)


class NewNote(msgspec.Struct):
    """What a client sends: anything else is a 422."""

    text: str


class Notes(App):
    pool: Pool


class Req(Request):
    app: Notes
    db: aiosqlite.Connection


router = Router()


@router.lifespan
async def connect(app: Notes) -> AsyncGenerator[None, None]:
    name = os.environ.get("DATABASE", "notes.db")
    app.pool = Pool(*[await aiosqlite.connect(name, timeout=5) for _ in range(SIZE)])
    try:
        async with app.pool.connection() as db:
            await db.execute("PRAGMA journal_mode=WAL")  # readers and a writer at the same time
            await db.execute(SCHEMA)
        yield
    finally:
        for connection in app.pool.connections:
            await connection.close()


@router.around
async def transaction(req: Req) -> AsyncGenerator[None, Response]:
    async with req.app.pool.connection() as req.db:
        response = yield
        if response.error is None:  # before the answer goes out: a 201 is true
            await req.db.commit()


@router.post("/notes")
async def add(req: Req, note: NewNote) -> Response:
    cursor = await req.db.execute("INSERT INTO notes (text) VALUES (?)", (note.text,))
    return Response({"id": cursor.lastrowid, "text": note.text}, 201)


@router.get("/notes")
async def every(req: Req) -> list[dict[str, object]]:
    rows = await req.db.execute_fetchall("SELECT id, text FROM notes ORDER BY id")
    return [{"id": number, "text": text} for number, text in rows]


server = Server(router=router, request_class=Req)

if __name__ == "__main__":
    server.loop()

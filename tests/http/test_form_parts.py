"""Parts of a form while they come: files to disk, back-pressure, what breaks off; on every loop."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, Request, Router
from kissapi.extras.testing import Client
from kissapi.http.files import SPOOL
from tests import peer
from tests.serving import THREE, make, running

LARGE = bytes(range(256)) * 8192  # 2 MiB
HEAD = b'--b\r\nContent-Disposition: form-data; name="film"; filename="f.bin"\r\n\r\n'
FORM = HEAD + LARGE + b'\r\n--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nA\r\n--b--\r\n'


def app(folder: Path, seen: list[Any]) -> Router:
    router = Router()

    @router.post("/save", stream=True)
    async def save(req: Request) -> Any:
        sizes: dict[str, Any] = {}
        try:
            async for part in req.parts():
                if part.filename:
                    sizes[part.name] = await part.save(folder / part.filename)
                else:
                    sizes[part.name] = await part.text()
        except BaseException as error:
            seen.append(error)
            raise
        return sizes

    @router.post("/keep", stream=True)
    async def keep(req: Request) -> Any:
        files = [await part.file() async for part in req.parts() if part.filename]
        seen.extend(files)
        files[0].save(folder / "kept")
        return [files[0].filename, files[0].size, files[0].read() == LARGE]

    @router.post("/drop", stream=True)
    async def drop(req: Request) -> Any:
        names = []
        async for part in req.parts():
            names.append(part.name)
            async for _ in part:
                break
        return names

    @router.post("/twice", stream=True)
    async def twice(req: Request) -> Any:
        async for part in req.parts():
            await part.read()
            await part.read()

    @router.post("/leave", stream=True)
    async def leave(req: Request) -> Any:
        async for part in req.parts():
            raise Fail(403, part.name)

    @router.post("/whole")
    async def whole(req: Request) -> Any:
        return [part.name async for part in req.parts()]

    return router


def post(path: str, body: bytes, length: int | None = None) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    return f"{head}Connection: close\r\nContent-Length: {length or len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("loop", THREE)
def test_on_every_loop(loop: str, tmp_path: Path) -> None:
    seen: list[Any] = []
    with running(make(loop, app(tmp_path, seen), max_body=1 << 30)) as server:

        def ask(data: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", server.port), 10) as client:
                client.sendall(data)
                return b"".join(iter(lambda: client.recv(65536), b""))

        assert ask(post("/save", FORM)).endswith(b'{"film":2097152,"title":"A"}')
        assert (tmp_path / "f.bin").read_bytes() == LARGE
        assert ask(post("/keep", FORM)).endswith(b'["f.bin",2097152,true]')
        assert (tmp_path / "kept").read_bytes() == LARGE
        assert ask(post("/drop", FORM)).endswith(b'["film","title"]')
        assert ask(post("/whole", FORM)).endswith(b'["film","title"]')
        assert b" 403 " in ask(post("/leave", FORM))
        assert b" 400 " in ask(post("/save", FORM[:-12]))
        (tmp_path / "f.bin").unlink(missing_ok=True)
        with socket.create_connection(("127.0.0.1", server.port), 10) as client:
            client.sendall(post("/save", FORM[: len(LARGE) // 2], len(FORM)))
            client.shutdown(socket.SHUT_WR)
            assert b" 400 " in b"".join(iter(lambda: client.recv(65536), b""))
        assert not (tmp_path / "f.bin").exists()
        status, _ = peer.get(server.port, "/none")
        assert status == 404
    assert [type(error) for error in seen if isinstance(error, BaseException)] == [Fail, Fail]


@pytest.mark.parametrize("backend", ["asyncio", "selectors"])
def test_small_and_large_files_are_kept(backend: str, tmp_path: Path) -> None:
    seen: list[Any] = []
    client = Client(app(tmp_path, seen), backend)
    assert client.post("/keep", files={"a": ("a.txt", b"small")}).json == ["a.txt", 5, False]
    assert client.post("/keep", files={"a": ("a.txt", LARGE)}).json == ["a.txt", len(LARGE), True]
    small, large = (file._data._rolled for file in seen)
    assert (small, large) == (False, True)
    assert len(LARGE) > SPOOL


def test_a_part_is_taken_once(tmp_path: Path) -> None:
    client = Client(app(tmp_path, []))
    assert client.post("/twice", files={"a": b"x"}).status == 500
    assert "the part 'a' has been taken already" in "\n".join(client.log)


def test_a_device_survives_a_client_that_leaves(tmp_path: Path) -> None:
    (tmp_path / "f.bin").symlink_to("/dev/null")
    client = Client(app(tmp_path, []))
    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/save", body=FORM[:-100], headers=kind).status == 400
    assert (tmp_path / "f.bin").is_symlink()


def test_where_it_cannot_be_saved_is_an_error_and_no_file_is_left(tmp_path: Path) -> None:
    client = Client(app(tmp_path / "none", []))
    assert client.post("/save", files={"a": ("a", b"x")}).status == 500
    assert "FileNotFoundError" in "\n".join(client.log)

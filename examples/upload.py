"""An upload of any size, written to a file as it comes, and a page that shows its progress.

$ curl -X PUT -d 'some text' localhost:8000/files/notes.txt
{"name":"notes.txt","size":9}
$ curl -X PUT -d 'more text' localhost:8000/files/.profile
no name for a file: '.profile'
$ curl localhost:8000/files
{"notes.txt":9}
"""

import os
from pathlib import Path
from tempfile import gettempdir, mkstemp

from kissapi import Fail, Request, Response, Router, Server, html, to_thread

LONGEST = 255  # bytes of a name, in nearly all file systems
PAGE = Path(__file__).with_suffix(".html")
folder = Path(gettempdir(), f"kissapi-{os.getpid()}")
router = Router()
server = Server(router=router)


@server.on_start
def make_folder() -> None:
    folder.mkdir(mode=0o700)


@server.on_stop
def remove_folder() -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


@router.get("/")
def page(req: Request) -> Response:
    return html(PAGE.read_text("utf-8"))


@router.put("/files/{name}", stream=True, max_body=100 << 30)
async def take(req: Request) -> dict[str, str | int]:
    name = req.params["name"]
    if name.startswith(".") or os.path.basename(name) != name or len(os.fsencode(name)) > LONGEST:
        raise Fail(400, f"no name for a file: {name!r}")
    number, part = mkstemp(dir=folder, prefix=".")
    try:
        with os.fdopen(number, "wb") as file:
            async for piece in req.stream():
                await to_thread(file.write, piece)  # a slow disk delays this client, and no other
            size = file.tell()
        os.replace(part, folder / name)
    except BaseException:  # the rest does not come, or the client has left
        os.unlink(part)
        raise
    return {"name": name, "size": size}


@router.get("/files")
def files(req: Request) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.iterdir() if not file.name.startswith(".")}


if __name__ == "__main__":
    server.loop()

"""Flask: forms, files, sessions, streams, errors, a mount; PEP 3333 as wsgiref.validate has it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

from flask import (
    Flask,
    abort,
    flash,
    get_flashed_messages,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)

from kissapi import Request, Router
from kissapi.extras.wsgi import from_wsgi
from tests.ecosystem.site import Site, check, multipart

app = Flask(__name__)
app.secret_key = "not one to keep"
closed: list[float] = []


@app.get("/")
def index() -> dict[str, Any]:
    return {"here": url_for("index"), "visits": session.get("visits", 0), "flashed": get_flashed_messages()}


@app.post("/visit")
def visit() -> str:
    session["visits"] = session.get("visits", 0) + 1
    flash("hello, " + request.form["name"])
    return "welcome"


@app.post("/upload")
def upload() -> dict[str, Any]:
    file = request.files["file"]
    return {"name": file.filename, "size": len(file.read())}


@app.post("/echo")
def echo() -> Any:
    return app.response_class(stream_with_context(iter(lambda: request.stream.read(1 << 16), b"")))


@app.get("/stream")
def stream() -> Any:
    def pieces() -> Iterator[str]:
        for number in range(3):
            yield f"{request.path} {number}\n"
            time.sleep(0.05)

    return app.response_class(stream_with_context(pieces()), mimetype="text/plain")


@app.get("/file")
def file() -> Any:
    return send_file(io.BytesIO(b"0123456789"), download_name="digits.txt", conditional=True, etag="x")


@app.get("/late")
def late() -> Any:
    response = app.response_class("soon")
    response.call_on_close(lambda: closed.append(time.sleep(0.2) or time.time()))
    return response


@app.get("/closed")
def closings() -> dict[str, int]:
    return {"closed": len(closed)}


@app.get("/bug")
def bug() -> str:
    raise OSError("no disk")


@app.get("/gone")
def gone() -> str:
    abort(410)


class Sized(io.RawIOBase):
    """An input that is read with a size: Flask names none where the input ends by itself."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def read_by_size(environ: dict[str, Any], start_response: Any) -> Any:
    stream = io.BufferedReader(Sized(environ["wsgi.input"]))
    return app({**environ, "wsgi.input": stream}, start_response)


validated = validator(read_by_size)  # it asserts what PEP 3333 demands, of the server and of the app
router = Router()
router["/shop"] = from_wsgi(app)


@router.get("/")
async def home(req: Request) -> str:
    return "kissapi"


def main() -> str:
    for target in ("app", "validated"):
        flags = ("--interface", "wsgi")  # the signature of the validator does not tell
        with Site(f"tests.ecosystem.flask_app:{target}", *flags, PYTHONWARNINGS="always") as site:
            visit_all(site)
        check("the error is in the log", "OSError: no disk" in site.output, site.output)
        for word in ("WSGIWarning", "garbage collected without being closed", "AssertionError"):
            check(f"no {word}", word not in site.output, site.output)
    with Site("tests.ecosystem.flask_app:router") as site:
        check("below a prefix", site.ask("/shop/").json["here"] == "/shop/")
        check("beside kissapi", site.ask("/").text == "kissapi")
    return "forms, files, sessions, streams both ways, ranges, errors, close(), a mount; wsgiref.validate"


def visit_all(site: Site) -> None:
    check("JSON", site.ask("/").json == {"here": "/", "visits": 0, "flashed": []})
    check("a form", site.ask("/visit", {"name": "ann é"}).text == "welcome")
    found = site.ask("/").json
    check("session and flash", found == {"here": "/", "visits": 1, "flashed": ["hello, ann é"]}, found)
    data, fields = multipart("file", "a.bin", bytes(300_000))
    found = site.ask("/upload", body=data, headers=fields).json
    check("an upload", found == {"name": "a.bin", "size": 300_000}, found)
    for size in (0, 10, 5_000_000):
        check(f"{size} bytes there and back", len(site.ask("/echo", body=bytes(size)).body) == size)
    chunked = site.ask("/echo", body=iter([b"x" * 100_000] * 20), method="POST")
    check("a chunked upload", chunked.body == b"x" * 2_000_000, len(chunked.body))
    answer = site.ask("/stream")
    check("a stream with its context", answer.text == "/stream 0\n/stream 1\n/stream 2\n", answer)
    check("chunked", answer.fields["transfer-encoding"] == "chunked")
    answer = site.ask("/file", headers={"Range": "bytes=2-4"})
    check("a range", (answer.status, answer.body) == (206, b"234"), answer)
    check("HEAD", site.ask("/file", method="HEAD").fields["content-length"] == "10")
    check("405", site.ask("/visit").status == 405)
    check("404", site.ask("/%2e%2e/x").status == 404)
    check("410", site.ask("/gone").status == 410)
    check("500", site.ask("/bug").status == 500)
    start = time.monotonic()
    check("an answer before close()", site.ask("/late").text == "soon" and time.monotonic() - start < 0.2)
    time.sleep(0.3)
    check("close()", site.ask("/closed").json == {"closed": 1})

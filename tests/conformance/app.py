"""App: says what it was asked, so that a case can tell what was read.

`GET /a?b` is answered with `GET /a?b`, a body follows after a space; `/field/x` gives `=` and the field X.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from kissapi import Request, Response, Router

router = Router()


@router.route("/", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
@router.route("/{rest:path}", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
async def echo(req: Request) -> bytes:
    query = f"?{req.query_string}" if req.query_string else ""
    return f"{req.method} {req.path}{query}".encode() + (b" " + req.body if req.body else b"")


@router.route("/field/{name}", methods=["GET", "POST"])
async def field(req: Request) -> bytes:
    return b"=" + req.headers.get(req.params["name"], "(none)").encode("utf-8", "surrogateescape")


@router.get("/answer/{status:int}")
async def answer(req: Request) -> Response:
    return Response("body", req.params["status"])


@router.get("/nothing")
async def nothing(req: Request) -> None:
    return None


@router.get("/stream")
async def stream(req: Request) -> AsyncIterator[str]:
    yield "GET "
    yield ""  # would be the end of the body, were it sent as a chunk
    yield "/stream"


@router.get("/last")
async def last(req: Request) -> Response:
    return Response("GET /last", headers={"Connection": "close"})


@router.get("/lies")
async def lies(req: Request) -> Response:
    return Response(
        "GET /lies", headers={"Content-Length": "99", "Transfer-Encoding": "gzip", "Date": "never"}
    )


@router.get("/error")
async def error(req: Request) -> None:
    raise ZeroDivisionError("on purpose")

"""Pages of a long list, by number and by cursor, with the Link field of RFC 8288.

$ curl -i 'localhost:8000/books?page=2&size=2'
HTTP/1.1 200 OK
Content-Type: application/json
Link: </books?page=1&size=2>; rel="first", </books?page=1&size=2>; rel="prev", </books?page=3&size=2>; rel="next", </books?page=50&size=2>; rel="last"
X-Total-Count: 100
Content-Length: 53
Date: Sun, 22 Nov 2026 12:35:01 GMT

[{"id":3,"title":"Book 3"},{"id":4,"title":"Book 4"}]
$ curl 'localhost:8000/books?page=0'
the query's 'page' is 1 to 1000000
$ curl 'localhost:8000/books/after?id=99'
[{"id":100,"title":"Book 100"}]
"""  # noqa: E501

from typing import TypedDict
from urllib.parse import urlencode

from kissapi import Fail, Request, Response, Router, Server

MOST = 100  # on a page


class Book(TypedDict):
    id: int
    title: str


books = [Book(id=number, title=f"Book {number}") for number in range(1, 101)]  # stands for a table
router = Router()


def number(req: Request, name: str, default: int, least: int, most: int) -> int:
    value = req.query.get(name, default, int)
    if not least <= value <= most:
        raise Fail(400, f"the query's {name!r} is {least} to {most}")
    return value


def link(req: Request, rel: str, **query: int) -> str:
    """This request with another `query`: what else it asks for, such as a filter, stays."""
    return f'<{req.path}?{urlencode({**req.query_all, **query}, doseq=True)}>; rel="{rel}"'


@router.get("/books")
async def pages(req: Request) -> Response:
    """By number: pages can be skipped, but rows shift while new ones come, and far pages are slow."""
    page, size = number(req, "page", 1, 1, 1_000_000), number(req, "size", 20, 1, MOST)
    total, last = len(books), max(1, -(-len(books) // size))  # SELECT count(*)
    rows = books[(page - 1) * size : page * size]  # ORDER BY id LIMIT size OFFSET (page - 1) * size
    places = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    links = [link(req, rel, page=place, size=size) for rel, place in places.items() if 1 <= place <= last]
    return Response(rows, headers={"Link": ", ".join(links), "X-Total-Count": str(total)})


@router.get("/books/after")
async def cursor(req: Request) -> Response:
    """By cursor: each page costs the same, and none repeats a row; there is no way but forward."""
    after, size = number(req, "id", 0, 0, 2**63 - 1), number(req, "size", 20, 1, MOST)
    rows = [book for book in books if book["id"] > after][: size + 1]  # WHERE id > … LIMIT size + 1
    response = Response(rows[:size])
    if len(rows) > size:  # the row too many says that there is more
        response.headers["link"] = link(req, "next", id=rows[size - 1]["id"], size=size)
    return response


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

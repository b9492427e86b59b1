"""Server-sent events: a page that shows prices as they change, and misses none if the connection breaks.

$ curl -N localhost:8000/prices/3
retry: 500

id: 1
data: {"price":101}

id: 2
data: {"price":102}

id: 3
data: {"price":103}

$ curl -N -H 'Last-Event-ID: 2' localhost:8000/prices/3
retry: 500

id: 3
data: {"price":103}

$ curl -H 'Last-Event-ID: three' localhost:8000/prices/3
'last-event-id' of the headers must be a whole number, not 'three'
"""

from collections.abc import AsyncIterator
from pathlib import Path

from kissapi import Request, Response, Router, Server, html, sleep
from kissapi.extras.sse import Event, sse

PAGE = Path(__file__).with_suffix(".html")

router = Router()


@router.get("/")
def page(req: Request) -> Response:
    return html(PAGE.read_text("utf-8"))


@router.get("/prices/{last:int}")
async def prices(req: Request) -> Response:
    seen = req.headers.get("last-event-id", 0, int)  # what is no number is a 400

    async def changes() -> AsyncIterator[Event]:
        for number in range(seen + 1, req.params["last"] + 1):
            yield Event({"price": 100 + number}, id=number)
            await sleep(0.1)

    return sse(changes(), retry=500)


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

"""ASGI, both ways: apps of other frameworks on kissapi's server, kissapi apps under other servers.

    from kissapi.extras.asgi import from_asgi, to_asgi

    router["/legacy"] = from_asgi(app)  # an app of FastAPI, Starlette, Django, Litestar …
    app = to_asgi(router)  # uvicorn main:app, granian --interface asgi main:app, hypercorn main:app …

outward.py            `to_asgi`, and the app that it makes
outward_site.py       one life of that app in one event loop
outward_service.py    the service of that loop: what differs from that of kissapi's own server
outward_exchange.py   one scope at work
outward_transport.py  what a connection has in place of a socket there: it takes messages
outward_request.py    the request that a scope describes, and its body
outward_answer.py     the messages that answer it
outward_websocket.py  the messages of a WebSocket
mount.py              `from_asgi`; all other files are its parts
"""

from kissapi.extras.asgi.mount import from_asgi
from kissapi.extras.asgi.outward import to_asgi

__all__ = ["from_asgi", "to_asgi"]

"""ASGI, both ways: apps of other frameworks on kissapi's server, kissapi apps under other servers.

    from kissapi.extras.asgi import from_asgi, to_asgi

    router["/legacy"] = from_asgi(app)  # an app of FastAPI, Starlette, Django, Litestar …
    app = to_asgi(router)  # uvicorn main:app, granian --interface asgi main:app, hypercorn main:app …

inward/ has the first, outward/ the second.
"""

from kissapi.extras.asgi.inward.mount import from_asgi
from kissapi.extras.asgi.outward.app import to_asgi

__all__ = ["from_asgi", "to_asgi"]

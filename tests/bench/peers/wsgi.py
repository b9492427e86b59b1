"""WSGI: the same answer by a raw app, Falcon and Bottle.

python wsgi.py fastpysgi|waitress raw|falcon|bottle PORT
"""

from __future__ import annotations

import sys
from typing import Any


def raw() -> Any:
    fields = [("Content-Type", "text/plain"), ("Content-Length", "13")]

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", fields)
        return [b"Hello, world!"]

    return app


def falcon() -> Any:
    import falcon

    class Hello:
        def on_get(self, req: Any, resp: Any) -> None:
            resp.content_type = "text/plain"
            resp.text = "Hello, world!"

    app = falcon.App()
    app.add_route("/", Hello())
    return app


def bottle() -> Any:
    import bottle

    app = bottle.Bottle()

    @app.get("/")
    def hello() -> str:
        bottle.response.content_type = "text/plain"
        return "Hello, world!"

    return app


def main(server: str, app: str, port: str) -> None:
    made = {"raw": raw, "falcon": falcon, "bottle": bottle}[app]()
    if server == "fastpysgi":
        import fastpysgi

        fastpysgi.run(made, "127.0.0.1", int(port))
    else:
        import logging

        import waitress

        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line for each request that waits
        waitress.serve(made, host="127.0.0.1", port=int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])

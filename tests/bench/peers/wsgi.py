"""WSGI: the same answer by a raw app, Falcon, Bottle and Flask.

python wsgi.py fastpysgi|waitress raw|falcon|bottle|flask PORT
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

    class Sum:
        def on_get(self, req: Any, resp: Any, more: int = 0) -> None:
            resp.content_type = "text/plain"
            resp.text = str(req.get_param_as_int("a") + req.get_param_as_int("b") + more)

        def on_post(self, req: Any, resp: Any) -> None:
            chunked = req.content_length is None
            self.on_get(req, resp, int((req.stream if chunked else req.bounded_stream).read()))

    app = falcon.App()
    app.add_route("/", Hello())
    app.add_route("/sum", Sum())
    return app


def flask() -> Any:
    from flask import Flask

    app = Flask("hello")

    @app.get("/")
    def hello() -> Any:
        return "Hello, world!", 200, {"content-type": "text/plain"}

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
    made = {"raw": raw, "falcon": falcon, "bottle": bottle, "flask": flask}[app]()
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

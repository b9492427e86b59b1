"""Site: a live server with an app, and a client of it that keeps cookies, as a browser does.

`Site` is one of kissapi, `OtherSite` one of another server.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, NamedTuple

from tests.memory import descendants
from tests.peer import until
from tests.serving import Served, Started, environment

SECONDS = 20.0


class Answer(NamedTuple):
    """What came; `fields` ignores case."""

    status: int
    fields: Any
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Visited:
    """What serves at `port`."""

    port: int

    def __init__(self) -> None:
        # Redirects are answers, too: what a browser would do is what a test tells.
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar()), _NoRedirects(), _NoErrors()
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        method: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to one request; with a `form`, a POST of that."""
        if form is not None:
            body = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self.url + path, body, dict(headers or {}), method=method)
        with self._opener.open(request, timeout=SECONDS) as answer:
            return Answer(answer.status, answer.headers, answer.read())

    def post_json(self, path: str, value: Any) -> Answer:
        """The answer to a POST of `value`."""
        return self.ask(path, body=json.dumps(value).encode(), headers={"Content-Type": "application/json"})


class Site(Visited, Served):
    """`kissapi target …` on a free port, for as long as the block lasts; it must end with exit code 0."""

    def __init__(self, target: str, *flags: str, folder: Path | None = None, **more: str) -> None:
        Visited.__init__(self)
        command = [sys.executable, "-m", "kissapi", target, "--port", "0", *flags]
        Served.__init__(self, command, cwd=folder, env=environment(**more))


# What starts an ASGI app at a port, and what that prints once it serves.
COMMANDS = {
    "uvicorn": ("uvicorn {app} --port {port}", "Uvicorn running on"),
    "hypercorn": ("hypercorn {app} --bind 127.0.0.1:{port}", "Running on"),
    "granian": ("granian --interface asgi --port {port} {app}", "Started worker-1"),
}


class OtherSite(Visited, Started):
    """`target`, an ASGI app, on another server, until the end of the block; it gets SIGTERM there."""

    def __init__(self, server: str, target: str, *flags: str, **more: str) -> None:
        Visited.__init__(self)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        command, serves = COMMANDS[server]
        words = command.format(app=target, port=self.port).split()
        Started.__init__(self, [sys.executable, "-m", *words, *flags], env=environment(**more))
        too_late = threading.Timer(SECONDS, self._kill)
        too_late.start()
        try:
            self.wait_for(serves)
        finally:
            too_late.cancel()
        until(self._listens, SECONDS)

    def _listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def _kill(self) -> None:
        """Its workers, too: they have its output, which else has no end."""
        for number in (*descendants(self.process.pid), self.process.pid):
            os.kill(number, signal.SIGKILL)

    def __enter__(self) -> OtherSite:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self.send(signal.SIGTERM)
        try:
            self.end(SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            raise
        finally:
            super().__exit__(kind, error, trace)
        if error is not None:
            error.add_note(f"the server had said:\n{self.output}")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class _NoErrors(urllib.request.HTTPErrorProcessor):
    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


def multipart(field: str, filename: str, data: bytes) -> tuple[bytes, dict[str, str]]:
    """The body and the fields of a form with one file."""
    head = f'--xyz\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n\r\n'
    body = head.encode() + data + b"\r\n--xyz--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=xyz"}


def check(name: str, is_so: bool, seen: object = "") -> None:
    """Say that `name` is so. Raises `AssertionError`, with what was seen, if it is not."""
    assert is_so, f"{name}: {seen!r}"
    print(f"ok: {name}")

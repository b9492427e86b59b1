"""Site: a live kissapi server with an app, and a client of it that keeps cookies, as a browser does."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, NamedTuple

from tests.serving import Served, environment

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


class Site(Served):
    """`kissapi target …` on a free port, for as long as the block lasts; it must end with exit code 0."""

    def __init__(self, target: str, *flags: str, folder: Path | None = None, **more: str) -> None:
        command = [sys.executable, "-m", "kissapi", target, "--port", "0", *flags]
        super().__init__(command, cwd=folder, env=environment(**more))
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

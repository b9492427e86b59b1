"""What the command line takes for an ASGI app, a WSGI app, and what makes one."""

from __future__ import annotations

from functools import partial, wraps
from typing import Any

import pytest

from kissapi.cli.app_import import interface_of


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


def asgi_sync(scope: Any, receive: Any, send: Any) -> Any: ...


def wsgi(environ: Any, start_response: Any) -> Any: ...


def wsgi_with_exc(environ: Any, start_response: Any, exc_info: Any = None) -> Any: ...


def make(debug: bool = False) -> Any: ...


def make_anything(*args: Any, **named: Any) -> Any: ...


async def decorated(*args: Any, **named: Any) -> None: ...


@wraps(wsgi)
def wrapped(*args: Any, **named: Any) -> Any: ...


def asgi2(scope: Any) -> Any: ...


class Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class AsgiAwaitable:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Wsgi:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class InTheObject:
    """As Sentry's middleware has it."""

    __slots__ = ("__call__",)

    def __init__(self) -> None:
        self.__call__ = Asgi().__call__


def with_more(settings: Any, scope: Any, receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (asgi, "asgi"),
        (asgi_sync, "asgi"),
        (Asgi(), "asgi"),
        (Asgi().method, "asgi"),
        (AsgiAwaitable, "asgi"),
        (InTheObject(), "asgi"),
        (decorated, "asgi"),
        (partial(with_more, {}), "asgi"),
        (wsgi, "wsgi"),
        (wsgi_with_exc, "wsgi"),
        (wrapped, "wsgi"),
        (Wsgi(), "wsgi"),
        (make, "factory"),
        (make_anything, "factory"),
        (Asgi, "factory"),
        (dict, "factory"),
        (asgi2, ""),
        (with_more, ""),
    ],
)
def test_an_app_is_known_by_what_it_takes(app: Any, interface: str) -> None:
    assert interface_of(app) == interface

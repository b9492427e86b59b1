"""App import: the Router or Server that `app:router` on a command line stands for.

An app of another interface, ASGI or WSGI, is given a router of its own.

    server_or_router = load("app:router")

A mistake is told in one line that says what and where: a `StartError`. What a module of the app raises is
shown with its traceback as well, without the frames of kissapi and of Python's import.

`kissapi.cli.main` serves what `load` gives, `kissapi.cli.reload` waits for a change where it raises.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from kissapi.backends.handlers import COROUTINE
from kissapi.log.tracebacks import traceback_text
from kissapi.process.import_guard import importing
from kissapi.routing.router import Router
from kissapi.routing.signature import signature_of
from kissapi.server import Server


class StartError(Exception):
    """What keeps an app from being served, in one line.

    `text` is the traceback of the app's part in `error`, which the app has raised; "" if there is none.
    """

    def __init__(self, what: str, error: BaseException | None = None) -> None:
        self.text = traceback_text(error) if error is not None else ""
        if error is not None and not self.text:
            what = f"{what}: {type(error).__name__}: {error}"
        super().__init__(what)


def load(target: str, interface: str = "auto", loops: int = 1) -> Router | Server:
    """The router or server that `target`, written `module:name`, stands for; a factory is called.

    `name` may have dots: `shop:Holder.router`. The current directory comes first where modules are looked
    for. An app of another interface becomes a router: `interface` is "asgi", "wsgi", or "auto" to judge by
    what it takes. For several `loops` a factory makes one app for each. Raises `StartError`.
    """
    module_name, colon, name = target.partition(":")
    is_name = all(part.isidentifier() for part in module_name.split("."))
    if not colon or not name or not is_name or module_name.endswith(".py"):
        hint = module_name.removesuffix(".py").strip("./").replace("/", ".")
        hint = hint if all(part.isidentifier() for part in hint.split(".")) else "app"
        raise StartError(f"{target!r} is no target: write MODULE:NAME, such as {hint}:{name or 'router'}")
    found: Any = import_module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            known = [each for each, value in vars(found).items() if isinstance(value, (Router, Server))]
            there = f"; it has {', '.join(known)}" if known else ""
            raise StartError(f"{module_name} has no {name!r}{there}")
        found = getattr(found, part)
    if isinstance(found, (Router, Server)):
        return found
    if not callable(found):
        raise StartError(f"{target} is {found!r}, and neither a Router nor a Server nor what makes one")
    kind = interface_of(found)
    if kind != "factory" or (interface != "auto" and _takes_anything(found)):
        return _router_of(found, target, kind if interface == "auto" else interface)
    try:
        made = found()
    except (Exception, SystemExit) as error:
        hint = " (if it is an app, --interface says so)" if _takes_anything(found) else ""
        raise StartError(f"{target}() failed{hint}", error) from error
    if isinstance(made, (Router, Server)):
        return made
    kind = interface_of(made) if callable(made) else ""
    if kind not in ("asgi", "wsgi") and (interface == "auto" or not callable(made)):
        if hasattr(made, "close"):
            made.close()  # a coroutine would warn that it was never awaited
        raise StartError(
            f"{target}() gave {made!r}, and neither a Router nor a Server, nor an ASGI or WSGI app"
        )
    return _router_of(made, target, kind if interface == "auto" else interface, found if loops > 1 else None)


def _takes_anything(function: Any) -> bool:
    """Whether it is a function with `*args`, as the wrapper of a decorator: the operator knows better."""
    signature = None if isinstance(function, type) else signature_of(function)
    return signature is not None and signature.open and signature.takes(3)


def interface_of(app: Any) -> str:
    """What `app` is by what it takes: "asgi", "wsgi", "factory" for nothing, "" for anything else.

    ASGI 3 takes (scope, receive, send), WSGI (environ, start_response). An `async def` with `*args` is of
    ASGI; what does not tell what it takes is a factory.
    """
    signature = signature_of(app)
    if signature is None and not isinstance(app, type):
        signature = signature_of(app.__call__)  # that of the object: some middlewares have none in the class
    if signature is None:
        return "factory"
    if signature.open and signature.function.__code__.co_flags & COROUTINE:
        return "asgi"
    for count, kind in ((0, "factory"), (2, "wsgi"), (3, "asgi")):
        if signature.takes(count):
            return kind
    return ""


def _router_of(app: Any, target: str, interface: str, make: Callable[[], Any] | None = None) -> Router:
    """The router of an app of `interface`; `make` makes others of its kind."""
    if interface == "asgi":
        from kissapi.extras.asgi import from_asgi

        return from_asgi(app) if make is None else from_asgi(make, factory=True)
    if interface == "wsgi":
        from kissapi.extras.wsgi import from_wsgi

        return from_wsgi(app)
    raise StartError(
        f"{target} is {app!r}: it takes neither (scope, receive, send), as ASGI 3 has it, nor "
        "(environ, start_response), as WSGI has it. If it is one of them, --interface says which"
    )


def load_function(target: str) -> Callable[[], Any]:
    """The function that `target`, written `module:name`, stands for. Raises `StartError`."""
    module_name, _, name = target.partition(":")
    found = getattr(import_module(module_name), name, None)
    if not callable(found):
        raise StartError(f"{target!r} is nothing that can be called: write MODULE:NAME of a function")
    return found  # type: ignore[no-any-return]


def import_module(name: str) -> Any:
    """Import it, with the current directory first. Raises `StartError`."""
    here = os.getcwd()
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
    try:
        with importing(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if traceback_text(error) or error.name is None:
            raise StartError(f"{name} cannot be imported", error) from error
        raise StartError(f"there is no module {error.name!r} in {here}, nor elsewhere") from error
    except (Exception, SystemExit) as error:
        raise StartError(f"{name} cannot be imported", error) from error


def start_failure(error: Exception) -> tuple[str, str]:
    """One line that says why a server cannot start, and the traceback of the app's part in it or ""."""
    if isinstance(error, StartError):
        return str(error), error.text
    if getattr(error, "text", ""):  # what an app of another interface says of itself
        return f"cannot start: {error}", error.text  # type: ignore[attr-defined]
    text = traceback_text(error)
    return f"cannot start: {type(error).__name__ if text else error}", text

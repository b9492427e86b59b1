"""App import: the Router or Server that `app:router` on a command line stands for.

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

from kissapi.log.tracebacks import traceback_text
from kissapi.process.import_guard import importing
from kissapi.routing.router import Router
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


def load(target: str) -> Router | Server:
    """The router or server that `target`, written `module:name`, stands for; a factory is called.

    `name` may have dots: `shop:Holder.router`. The current directory comes first where modules are looked
    for. Raises `StartError`.
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
    try:
        made = found()
    except (Exception, SystemExit) as error:
        raise StartError(f"{target}() failed", error) from error
    if not isinstance(made, (Router, Server)):
        if hasattr(made, "close"):
            made.close()  # a coroutine would warn that it was never awaited
        raise StartError(f"{target}() gave {made!r}, and neither a Router nor a Server")
    return made


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
    text = traceback_text(error)
    return f"cannot start: {type(error).__name__ if text else error}", text

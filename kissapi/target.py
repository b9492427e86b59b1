"""Target: what `app:router` on a command line stands for.

Law: a mistake is told in one line that says what and where. What the module of the user raises is shown with
its traceback, from their first line to their last: no frame of ours, nor of Python's import, is in it.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from kissapi import program
from kissapi.router import Router
from kissapi.server import Server

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_IMPORT = os.path.dirname(os.path.abspath(importlib.__file__)) + os.sep

_PYTHONS = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


class TargetError(Exception):
    """What keeps a target from being served, in one line; `text` is the traceback of the user's part."""

    def __init__(
        self, what: str, error: BaseException | None = None, *, missing: ImportError | None = None
    ) -> None:
        self.error = error if error is not None else missing
        self.text = traceback_text(error) if error is not None else ""
        if error is not None and not self.text:
            what = f"{what}: {type(error).__name__}: {error}"
        super().__init__(what)


def load(target: str) -> Router | Server:
    """The router or server that `target`, written `module:name`, stands for; a factory is called.

    The current directory comes first where modules are looked for. Raises `TargetError`.
    """
    module_name, colon, name = target.partition(":")
    is_name = all(part.isidentifier() for part in module_name.split("."))
    if not colon or not name or not is_name or module_name.endswith(".py"):
        hint = module_name.removesuffix(".py").strip("./").replace("/", ".")
        hint = hint if all(part.isidentifier() for part in hint.split(".")) else "app"
        raise TargetError(f"{target!r} is no target: write MODULE:NAME, such as {hint}:{name or 'router'}")
    found: Any = import_module(module_name)
    for part in name.split("."):
        if not hasattr(found, part):
            known = [each for each, value in vars(found).items() if isinstance(value, (Router, Server))]
            there = f"; it has {', '.join(known)}" if known else ""
            raise TargetError(f"{module_name} has no {name!r}{there}")
        found = getattr(found, part)
    if isinstance(found, (Router, Server)):
        return found
    if not callable(found):
        raise TargetError(f"{target} is {found!r}, and neither a Router nor a Server nor what makes one")
    try:
        made = found()
    except (Exception, SystemExit) as error:
        raise TargetError(f"{target}() failed", error) from error
    if not isinstance(made, (Router, Server)):
        if hasattr(made, "close"):
            made.close()  # a coroutine would complain that nobody awaited it
        raise TargetError(f"{target}() gave {made!r}, and neither a Router nor a Server")
    return made


def load_function(target: str) -> Callable[[], Any]:
    """The function that `target`, written `module:name`, stands for. Raises `TargetError`."""
    module_name, _, name = target.partition(":")
    found = getattr(import_module(module_name), name, None)
    if not callable(found):
        raise TargetError(f"{target!r} is nothing that can be called: write MODULE:NAME of a function")
    return found  # type: ignore[no-any-return]


def import_module(name: str) -> Any:
    """Import it, with the current directory first. Raises `TargetError`."""
    here = os.getcwd()
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
    program.importing = name
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if traceback_text(error) or error.name is None:
            raise TargetError(f"{name} cannot be imported", error) from error
        raise TargetError(
            f"there is no module {error.name!r} in {here}, nor elsewhere", missing=error
        ) from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"{name} cannot be imported", error) from error
    finally:
        program.importing = ""


def start_failure(error: Exception) -> tuple[str, str]:
    """What to say of a server that cannot start, and the traceback of the user's part in it."""
    if isinstance(error, TargetError):
        return str(error), error.text
    text = traceback_text(error)
    return f"cannot start: {type(error).__name__ if text else error}", text


def traceback_text(error: BaseException) -> str:
    """The traceback of `error` without our frames; nothing if no frame is the user's."""
    whole = traceback.TracebackException.from_exception(error)
    theirs = _trim(whole)
    return "".join(whole.format()) if theirs or isinstance(error, SyntaxError) else ""


def _trim(error: traceback.TracebackException | None) -> bool:
    """Take our frames out of `error` and those it comes from; whether any frame of the user's is left."""
    if error is None:
        return False
    stack = [frame for frame in error.stack if not _is_ours(frame.filename)]
    while stack and _is_pythons(stack[0].filename):  # what called them: asyncio, perhaps
        del stack[0]
    error.stack[:] = stack
    above = [_trim(error.__cause__), _trim(error.__context__)]
    return bool(stack) or any(above)


def _is_ours(file: str) -> bool:
    return file.startswith((_OURS, _IMPORT, "<frozen "))


def _is_pythons(file: str) -> bool:
    return file.startswith(_PYTHONS) and f"{os.sep}site-packages{os.sep}" not in file

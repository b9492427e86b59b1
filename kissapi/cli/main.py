"""The command line: `kissapi app:router`, which is `python -m kissapi app:router`.

    kissapi app:router          serve: a Router, a Server, an ASGI or WSGI app, or a function that makes one
    kissapi routes app:router   the table of its routes
    kissapi check app:router    routes registered twice or never reached, and what cannot be called
    kissapi openapi app:router  its OpenAPI document, for generators of clients
    kissapi guide files         a chapter of the guide

An argument beats the environment, that beats what a Server was made with, and that the default. What is not
given is not passed on, so every default is where it belongs. Exit codes: 0, 1 for what cannot be imported or
started, 2 for a command line that makes no sense.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from kissapi.cli.app_import import StartError, load, load_function, start_failure
from kissapi.cli.diagnostics import say, speak_json, speaks_json
from kissapi.cli.options import make_parser, read
from kissapi.process import signals
from kissapi.process.program import Program
from kissapi.routing.router import Router
from kissapi.server import Server


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments`, by default those of the process, stand for; the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    command = words[0] if words[:1] and words[0] in _ABOUT else "serve"
    try:
        if command == "serve":
            return serve(words)
        parser = argparse.ArgumentParser(prog=f"kissapi {command}", description=_ABOUT[command])
        if command == "guide":
            parser.add_argument("chapter", nargs="?", help="such as files; without it, the list of chapters")
            return guide(parser.parse_args(words[1:]).chapter or "index")
        parser.add_argument("target", metavar="MODULE:NAME", help="a Router, a Server, or what makes one")
        target = parser.parse_args(words[1:]).target
        return {"routes": routes, "check": check, "openapi": openapi}[command](target)
    except StartError as error:
        return _failed(str(error), error.text)


_ABOUT = {
    "routes": "Print the table of routes.",
    "guide": "Print a chapter of the guide.",
    "check": "Say which routes are registered twice or never reached, and which handlers, hooks and other "
    "functions cannot be called with what they will get; exit code 1 if there are any. It notes mounted "
    "routers that a before hook of a router above does not run for.",
    "openapi": "Print the OpenAPI document, as JSON.",
}


def serve(words: list[str]) -> int:
    """Serve until a signal."""
    signals.defer_restarts()  # what is imported may take its time
    try:
        return _serve(words)
    except SystemExit as error:
        if not isinstance(error.code, str) or not speaks_json():
            raise  # Python says it
        return _failed(error.code.removeprefix("kissapi: "))
    finally:
        if signals.in_main_thread():
            signals.restore()


def _serve(words: list[str]) -> int:
    parser = make_parser()
    given = read(parser, words, os.environ)
    target = given.pop("target")
    if given.get("log_format") == "json":
        speak_json()
    try:
        if not given.get("reload"):
            Program([make_server(target, given)]).run()
            return 0
        from kissapi.cli import reload

        return reload.run(target, lambda: make_server(target, given))
    except Exception as error:
        return _failed(*start_failure(error))


def routes(target: str) -> int:
    """Print the table of routes."""
    from kissapi.routing.listing import table

    print(table(_router_of(load(target))))
    return 0


def check(target: str) -> int:
    """Print what is wrong with the routes; 1 if anything is."""
    from kissapi.cli.check import unbound, uncallable, unguarded, unreached
    from kissapi.routing.listing import rows

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = load(target)
    router = _router_of(found)
    problems = []
    for warning in warned:
        if str(warning.message).endswith("the last one wins"):
            problems.append(f"{_relative(warning.filename)}:{warning.lineno}: {warning.message}")
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    not_bound = list(unbound(router))
    problems += not_bound
    if not not_bound:  # else the routes cannot be compiled
        try:
            problems += unreached(router)
        except ValueError as error:  # what keeps a server from starting
            problems.append(str(error))
    problems += uncallable(found)
    for line in (*problems, *unguarded(router)):
        print(line)
    if not problems:
        print(f"{len(rows(router))} routes, and nothing wrong with them")
    return 1 if problems else 0


def openapi(target: str) -> int:
    """Print the OpenAPI document."""
    from kissapi.extras.openapi import document_of

    print(document_of(_router_of(load(target)), title=target))
    return 0


def guide(name: str) -> int:
    """Print a chapter of the guide."""
    from kissapi.cli.guide import chapter

    try:
        print(chapter(name), end="")
    except LookupError as error:
        return _failed(error.args[0])
    return 0


def make_server(target: str | None, given: Mapping[str, Any]) -> Server:
    """The server of `target`, with the settings that are given; with no target, one that has no routes."""
    settings = dict(given)
    if ":" in settings.get("loop", ""):
        settings["loop_factory"] = load_function(settings.pop("loop"))
        settings.setdefault("backend", "asyncio")  # what a function makes is one of asyncio's
    if "log_format" in settings:
        settings["logger"] = None
        if settings.pop("log_format") == "json":
            from kissapi.extras.json_log import JsonLog

            settings["logger"] = JsonLog
    interface = settings.pop("interface", "auto")
    found = load(target, interface, settings.get("loops", 1)) if target is not None else Router()
    reload = settings.pop("reload", False)
    try:
        if isinstance(found, Server):  # the same object goes on, for the app has it
            found.settings = found.settings.replace(**settings)
            return found
        if (reload or "debug" in settings) and "bind" not in settings:
            settings.setdefault("host", "127.0.0.1")
        return Server(router=found, **settings)
    except (ValueError, ImportError) as error:
        raise StartError(str(error)) from error


def _router_of(found: Router | Server) -> Router:
    return found.router if isinstance(found, Server) else found


def _relative(file: str) -> str:
    return os.path.relpath(file) if file.startswith(os.getcwd() + os.sep) else file


def _failed(what: str, trace: str = "") -> int:
    say(what, trace)
    return 1

"""The command line: `kissapi app:router`, which is `python -m kissapi app:router`.

    kissapi app:router          serve: a Router, a Server, or a function that makes one
    kissapi routes app:router   the table of its routes
    kissapi check app:router    routes registered twice or never reached, and what cannot be called

Law: an argument beats the environment, that beats what a Server was made with, and that the default. What
nobody has said is not passed on, so every default is where it belongs. Exit codes: 0, 1 for what cannot be
imported or started, 2 for a command line that makes no sense.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from kissapi import signals
from kissapi.flags import WHERE, make_parser, read
from kissapi.limits import Limits
from kissapi.program import Program
from kissapi.router import Router
from kissapi.server import Server
from kissapi.target import TargetError, load, load_function, start_failure

_TLS = ("certfile", "keyfile", "keyfile_password")
_PROXIES = ("trusted_proxies", "proxy_headers", "proxy_protocol")


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments`, by default those of the process, stand for; the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    command = words[0] if words[:1] in (["routes"], ["check"]) else "serve"
    try:
        if command == "serve":
            return serve(words)
        parser = argparse.ArgumentParser(prog=f"kissapi {command}", description=_ABOUT[command])
        parser.add_argument("target", metavar="MODULE:NAME", help="a Router, a Server, or what makes one")
        target = parser.parse_args(words[1:]).target
        return routes(target) if command == "routes" else check(target)
    except TargetError as error:
        return _failed(str(error), error.text)


_ABOUT = {
    "routes": "Print the table of routes.",
    "check": "Say which routes are registered twice or never reached, and which handlers, hooks and other "
    "functions cannot be called with what they will get; exit code 1 if there are any.",
}


def serve(words: list[str]) -> int:
    """Serve until a signal."""
    signals.keep()  # what is imported may take its time
    try:
        return _serve(words)
    finally:
        if signals.in_main_thread():
            signals.give_back()


def _serve(words: list[str]) -> int:
    parser = make_parser()
    given = read(parser, words, os.environ)
    target = given.pop("target")
    try:
        if not given.get("reload"):
            Program([make_server(target, given)]).run()
            return 0
        from kissapi import reload

        return reload.run(target, lambda: make_server(target, given), lambda: make_server(None, given))
    except Exception as error:
        return _failed(*start_failure(error))


def routes(target: str) -> int:
    """Print the table of routes."""
    from kissapi.extras.routes import table

    print(table(_router_of(load(target))))
    return 0


def check(target: str) -> int:
    """Print what is wrong with the routes; 1 if anything is."""
    from kissapi.extras.routes import rows, uncallable, unreached

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
    try:
        problems += unreached(router)
    except ValueError as error:  # what keeps a server from starting
        problems.append(str(error))
    problems += uncallable(found)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{len(rows(router))} routes, and nothing wrong with them")
    return 1 if problems else 0


def make_server(target: str | None, given: Mapping[str, Any]) -> Server:
    """The server of `target`, with the settings that are given; with no target, one that has no routes."""
    settings = dict(given)
    if "loop" in settings:
        settings["loop_factory"] = _loop_factory(settings.pop("loop"))
        settings.setdefault("backend", "asyncio")  # each is one of asyncio's
    if "log_format" in settings:
        settings["logger"] = None
        if settings.pop("log_format") == "json":
            from kissapi.extras.json_log import JsonLog

            settings["logger"] = JsonLog
    found = load(target) if target is not None else Router()
    reload = settings.pop("reload", False)
    try:
        if isinstance(found, Server):
            change(found, settings)
            return found
        if (reload or "debug" in settings) and "bind" not in settings:
            settings.setdefault("host", "127.0.0.1")
        return Server(router=found, **settings)
    except (ValueError, ImportError) as error:
        raise TargetError(str(error)) from error


def change(server: Server, settings: Mapping[str, Any]) -> None:
    """Make `server` what it would be, had it been made with `settings` in place of its own."""
    own = {name: getattr(server, name) for name in ("host", "port", "backend", "loop_factory")}
    if settings.get("backend") == "selectors":
        del own["loop_factory"]
    limits = {name: value for name, value in settings.items() if name in Limits.__annotations__}
    others = {name: value for name, value in settings.items() if name not in limits}
    made = Server(
        router=server.router, parser_class=server.parser_class, **own | others, **vars(server.limits) | limits
    )
    # The same object goes on, for the app has it: only what was given is another's.
    server.limits = made.limits
    changed = set(others) | ({"loop_factory", "_without_asyncio"} if "backend" in others else set())
    if changed.intersection(WHERE):
        server.addresses, server.host, server.port = made.addresses, made.host, made.port
    if changed.intersection(_TLS):
        server.tls = made.tls
    if changed.intersection(_PROXIES):
        server.trusted, server.proxy_fields = made.trusted, made.proxy_fields
        server.proxy_protocol = made.proxy_protocol
    for name in changed.difference(WHERE, _TLS, _PROXIES, ("debug",)):
        setattr(server, name, getattr(made, name))


def _loop_factory(name: str) -> Callable[[], Any] | None:
    if name == "asyncio":
        return None
    if name == "uvloop":
        try:
            return load_function("uvloop:new_event_loop")
        except TargetError:
            raise TargetError("uvloop is not installed: pip install kissapi[uvloop]") from None
    return load_function(name)


def _router_of(found: Router | Server) -> Router:
    return found.router if isinstance(found, Server) else found


def _relative(file: str) -> str:
    return os.path.relpath(file) if file.startswith(os.getcwd() + os.sep) else file


def _failed(what: str, text: str = "") -> int:
    sys.stdout.flush()
    print(f"{text}kissapi: {what}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""Options: the flags of the command line, and the variables of the environment that stand for them.

A flag is called as the argument of `Server` that it gives; older names still work, and are not listed.
An argument beats the environment. What is not given is left out, so that each default stays where it belongs.
All of it is checked before anything of the app is imported.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import kissapi
from kissapi.cli.beyond import BEYOND, as_shown
from kissapi.http.limits import Limits
from kissapi.http.words import did_you_mean
from kissapi.server import BACKENDS, LOOPS
from kissapi.server.event_loop import wrong_name

# They say the same in different words.
_WHERE = ("host", "port", "bind")
_LOOP = ("loop", "backend")
# The names of hosting platforms and of other servers.
_AGREED = {"port": "PORT", "workers": "WEB_CONCURRENCY", "trusted_proxies": "FORWARDED_ALLOW_IPS"}
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def make_parser() -> argparse.ArgumentParser:
    """The parser of `kissapi app:router`; what is not given is None."""
    parser = argparse.ArgumentParser(
        prog="kissapi",
        usage="kissapi [routes | check | openapi] MODULE:NAME [flags], or kissapi guide [CHAPTER]",
        description="Serve a Router, a Server, an ASGI or WSGI app, or what a function without arguments "
        "makes.",
        epilog="Each flag may stand in the environment: --access-log as KISSAPI_ACCESS_LOG, and so on; PORT "
        "and WEB_CONCURRENCY are heeded too. Also: kissapi routes MODULE:NAME, and so check and openapi.",
        argument_default=None,
        allow_abbrev=False,
        # Each `add_argument` makes one. It asks the terminal's width of shutil, which costs 4 ms and 0.3 MiB.
        formatter_class=partial(argparse.HelpFormatter, width=80),
    )
    parser.add_argument("--version", action="version", version=f"kissapi {kissapi.__version__}")
    parser.add_argument("target", metavar="MODULE:NAME", help="such as app:router")

    where = parser.add_argument_group("where")
    where.add_argument("--host", help="default 0.0.0.0; with --debug or --reload 127.0.0.1")
    where.add_argument("--port", "-p", type=_port, help="default 8000; 0 for a free one")
    where.add_argument(
        "--bind", "-b", action="append", metavar="ADDRESS",
        help="HOST:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME, fd://NUMBER or systemd; may be repeated",
    )  # fmt: skip
    where.add_argument(
        "--unix-mode", type=_mode, metavar="MODE",
        help="the permissions of Unix sockets, in octal: 660 lets in programs of the group, 666 all",
    )  # fmt: skip
    where.add_argument("--certfile", metavar="FILE", help="the certificate, PEM: serves HTTPS")
    where.add_argument("--keyfile", metavar="FILE", help="its key, PEM, if that is not in the certfile")
    where.add_argument("--keyfile-password", metavar="PASSWORD", help="opens an encrypted keyfile")
    for name in ("certfile", "keyfile", "keyfile_password"):
        where.add_argument(f"--ssl-{flag_of(name)[2:]}", dest=name, help=argparse.SUPPRESS)

    how = parser.add_argument_group("how")
    how.add_argument(
        "--loop", type=_loop, metavar="LOOP",
        help=f"{', '.join(LOOPS)}, or module:function that makes one like asyncio's",
    )  # fmt: skip
    how.add_argument("--backend", choices=BACKENDS, help="an older name for --loop, without uvloop")
    how.add_argument("--loops", type=_count, metavar="N", help="event loops, each in a thread (default 1)")
    how.add_argument(
        "--workers", "-w", type=_count, metavar="N", help="processes, and a master that replaces them"
    )
    how.add_argument(
        "--interface", choices=("auto", "asgi", "wsgi"),
        help="of an app that is no Router or Server; default auto, by what it takes",
    )  # fmt: skip
    how.add_argument("--log-format", choices=("text", "json"), help="json: one object a line")
    how.add_argument(
        "--access-log", action=argparse.BooleanOptionalAction, help="a log line for each request (default)"
    )
    how.add_argument(
        "--header", dest="headers", action="append", type=_header, metavar="'NAME: VALUE'",
        help="a field of every answer; may be repeated",
    )  # fmt: skip

    proxies = parser.add_argument_group("behind proxies")
    proxies.add_argument(
        "--trusted-proxies", "--forwarded-allow-ips", metavar="LIST",
        help='proxies that may speak for their clients: "127.0.0.1, 10.0.0.0/8, unix"',
    )  # fmt: skip
    proxies.add_argument(
        "--proxy-headers",
        metavar="FIELDS",
        help="the fields in which they do: x-forwarded-for, x-forwarded-proto, forwarded, …",
    )
    proxies.add_argument(
        "--proxy-protocol",
        action=argparse.BooleanOptionalAction,
        help="each connection begins with a PROXY header",
    )

    develop = parser.add_argument_group("for development")
    develop.add_argument(
        "--reload", action=argparse.BooleanOptionalAction,
        help="restart when imported files change; each version is one process, without workers",
    )  # fmt: skip
    develop.add_argument(
        "--debug", nargs="?", metavar="force", choices=("on", "off", "force"),
        help="show tracebacks to clients of this machine; =force: to all",
    )  # fmt: skip

    limits = parser.add_argument_group(
        "limits", "sizes are in bytes or such as 64K, 16M, 1G; times in seconds"
    )
    for name in Limits.__annotations__:
        seconds = name.endswith("_timeout")
        default = getattr(Limits, name)
        kind = float if seconds else _size
        limits.add_argument(
            flag_of(name), type=kind, metavar="S" if seconds else "N",
            help=f"default {as_shown(name, default)} → {BEYOND[name]}",
        )  # fmt: skip
        limits.add_argument(_older_flag_of(name), dest=name, type=kind, help=argparse.SUPPRESS)
    parser.formatter_class = argparse.HelpFormatter  # for the help itself, as wide as the terminal
    return parser


def flag_of(argument: str) -> str:
    """The flag of an argument of `Server`: `max_body` is `--max-body`."""
    return f"--{argument.replace('_', '-')}"


def _older_flag_of(limit: str) -> str:
    """As 0.2.0 had it: `max_body` was `--limit-body`, `head_timeout` was `--timeout-head`."""
    if limit.endswith("_timeout"):
        return f"--timeout-{limit.removesuffix('_timeout')}"
    return f"--limit-{limit.removeprefix('max_').replace('_', '-')}"


def read(parser: argparse.ArgumentParser, words: list[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """What is given, by arguments or else by the environment."""
    # A flag with an optional value would take the target for it.
    words = ["--debug=on" if word == "--debug" else word for word in words]
    parsed, unknown = parser.parse_known_args(words)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{_nearest_flag(parser, unknown)}")
    found = {name: value for name, value in vars(parsed).items() if value is not None}
    if "bind" in found and ("host" in found or "port" in found):
        parser.error("--bind says where to listen: leave out --host and --port")
    told = any(name in found for name in _WHERE)
    loop_told = any(name in found for name in _LOOP)
    for action in parser._actions:
        if not action.option_strings or action.dest in ("help", "version") or action.dest in found:
            continue
        if action.dest in _WHERE and told and ("bind" in found or action.dest == "bind"):
            continue  # where to listen is said in other words, which were arguments
        if action.dest in _LOOP and loop_told:
            continue
        flags = [flag.removeprefix("--") for flag in action.option_strings if flag.startswith("--")]
        names = [f"KISSAPI_{flag.upper().replace('-', '_')}" for flag in flags]
        for name in (*names, _AGREED.get(action.dest, "")):
            if environ.get(name):
                value = _value(parser, action, name, environ[name])
                found[action.dest] = not value if name.startswith("KISSAPI_NO_") else value
                break
    if "bind" in found:  # of two in the environment, the one that says more
        found.pop("host", None)
        found.pop("port", None)
    try:
        Limits(**{name: found[name] for name in Limits.__annotations__ if name in found})
    except ValueError as error:
        name = str(error).split()[0]
        parser.error(str(error).replace(name, flag_of(name), 1))
    debug = found.pop("debug", "off")
    if debug != "off":
        found["debug"] = "force" if debug == "force" else True
    return found


def _nearest_flag(parser: argparse.ArgumentParser, unknown: list[str]) -> str:
    listed = [action.option_strings for action in parser._actions if action.help != argparse.SUPPRESS]
    flags = [flag for names in listed for flag in names if flag.startswith("--")]
    wrong = next((word.partition("=")[0] for word in unknown if word.startswith("--")), None)
    return did_you_mean(wrong, flags) if wrong is not None else ""


def _value(parser: argparse.ArgumentParser, action: argparse.Action, name: str, text: str) -> Any:
    """A variable of the environment as the flag would have it."""
    if isinstance(action, argparse.BooleanOptionalAction) or action.dest == "debug":
        if text.lower() not in (*_YES, *_NO, *(action.choices or ())):
            parser.error(f"{name} is 1 or 0, not {text!r}")
        yes = text.lower() in _YES
        if action.dest == "debug":
            return text.lower() if text.lower() in (action.choices or ()) else "on" if yes else "off"
        return yes
    if action.dest == "bind":
        return re.split(r"[,\s]+", text.strip(", "))
    try:
        if action.dest == "headers":
            return [_header(line) for line in text.split("\n") if line.strip()]
        value = action.type(text) if callable(action.type) else text
    except (ValueError, argparse.ArgumentTypeError) as error:
        parser.error(f"{name}: {error}")
    if action.choices is not None and value not in action.choices:
        parser.error(f"{name} is {' or '.join(map(str, action.choices))}, not {text!r}")
    return value


def _loop(text: str) -> str:
    if text not in LOOPS and ":" not in text:
        raise argparse.ArgumentTypeError(wrong_name("loop", text, LOOPS))
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number, at least 1, not {text!r}")
    return int(text)


def _mode(text: str) -> int:
    found = re.fullmatch(r"(?:0o)?0*([0-7]{1,3})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"permissions are written in octal, such as 660, not {text!r}")
    return int(found[1], 8)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"a header is a name and a value, 'Name: value', not {text!r}")
    return name.strip(), value.strip()


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]+)([KMG]?)", text.upper())
    if found is None:
        raise argparse.ArgumentTypeError(f"a number, or one such as 64K, 16M, 1G, not {text!r}")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]

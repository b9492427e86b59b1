"""Plaintext: one small answer over 32 connections, by every server there is. Access log off; on, for some."""

from __future__ import annotations

from tests.bench.load import Load
from tests.bench.run import Figures, Row, Run, installed
from tests.bench.server import NGINX, PEERS, PUBLISHED, Candidate, ours
from tests.bench.table import Table

LOOPS = ("asyncio", "uvloop", "selectors")
LOGGED = ", access log on"
BASE = "peers/bare Protocol on asyncio"

NGINX_CONF = """
daemon off; master_process off; pid FOLDER/pid; error_log stderr;
events { worker_connections 4096; }
http {
    access_log off; default_type text/plain; keepalive_requests 1000000000;
    client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b; fastcgi_temp_path FOLDER/c;
    uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
    server { listen 127.0.0.1:PORT; location / { return 200 "Hello, world!"; } }
}
"""


def peer(*arguments: str, needs: str) -> Candidate:
    """A program in the peers' environment; an argument that is no option starts it."""
    return Candidate((str(PEERS / "bin/python"), *arguments), tuple(needs.split()), path="")


def uvicorn(app: str, loop: str, log: bool = False) -> Candidate:
    factory = () if app == "raw" else ("--factory",)
    quiet = () if log else ("--no-access-log", "--log-level", "warning")
    options = ("--host", "127.0.0.1", "--port", "PORT", "--loop", loop, "--http", "httptools")
    needs = f"uvicorn httptools {loop if loop == 'uvloop' else ''} {app if app != 'raw' else ''}"
    return peer("-m", "uvicorn", *factory, f"asgi:{app}", *options, *quiet, needs=needs)


def granian(
    protocol: str, log: bool = False, *, app: str = "raw", options: tuple[str, ...] = ()
) -> Candidate:
    factory = () if app == "raw" else ("--factory",)
    where = ("--interface", protocol, "--host", "127.0.0.1", "--port", "PORT", "--loop", "uvloop")
    quiet = ("--access-log",) if log else ("--no-log",)
    needs = f"granian uvloop {app if app != 'raw' else ''}"
    return peer("-m", "granian", f"{protocol}:{app}", *where, *factory, *quiet, *options, needs=needs)


def rows() -> list[Row]:
    """In this order they are measured, so what is compared has run close together."""
    found: dict[str, Candidate] = {}
    for loop in LOOPS:
        found[f"bare Protocol on {loop}"] = ours("bare.py", loop, "constant")
        found[f"bare Protocol with httptools on {loop}"] = ours("bare.py", loop, "httptools")
        found[f"kissapi on {loop}"] = ours("kiss.py", loop)
        found[f"kissapi on {loop}{LOGGED}"] = ours("kiss.py", loop, "log=on")
    for loop in LOOPS[:2]:
        for app in ("raw", "starlette", "fastapi", "falcon"):
            found[f"uvicorn + {app} on {loop}"] = uvicorn(app, loop)
    found[f"uvicorn + raw on uvloop{LOGGED}"] = uvicorn("raw", "uvloop", log=True)
    for protocol in ("asgi", "rsgi"):
        found[f"granian {protocol.upper()}"] = granian(protocol)
    found[f"granian RSGI{LOGGED}"] = granian("rsgi", log=True)
    options = ("-b", "127.0.0.1:PORT", "-k", "uvloop", "--log-level", "error")
    found["hypercorn + raw on uvloop"] = peer(
        "-m", "hypercorn", "asgi:raw", *options, needs="hypercorn uvloop"
    )
    for app in ("raw", "falcon", "bottle"):
        needs = f"fastpysgi {app if app != 'raw' else ''}"
        found[f"fastpysgi + {app}"] = peer("wsgi.py", "fastpysgi", app, "PORT", needs=needs)
    found["aiohttp on asyncio"] = peer("own.py", "aiohttp", "PORT", needs="aiohttp")
    found["aiohttp on uvloop"] = peer("own.py", "aiohttp_uvloop", "PORT", needs="aiohttp uvloop")
    found[f"aiohttp on uvloop{LOGGED}"] = peer(
        "own.py", "aiohttp_uvloop", "PORT", "log", needs="aiohttp uvloop"
    )
    for name in ("sanic", "robyn", "socketify", "tornado", "microdot"):
        found[name] = peer("own.py", name, "PORT", needs=name)
    found["waitress + bottle"] = peer("wsgi.py", "waitress", "bottle", "PORT", needs="waitress bottle")
    python = str(PEERS / "bin/python")
    found["kissapi 0.1.6"] = Candidate(
        (python, "own.py", "kissapi016", "PORT"), ("kissapi", "httptools"), path=str(PUBLISHED)
    )
    found["nginx"] = Candidate((NGINX, "-c", "FOLDER/conf"), ("nginx",), conf=NGINX_CONF)
    # The published version promises to keep a connection, and ends it. Asked in small letters, it says so.
    loads = {"kissapi 0.1.6": Load(fields=("connection: close",), checked=False)}
    # Not looked at one by one: the fastest of them would wait for wrk.
    hello = Load(checked=False)
    return [Row(f"peers/{name}", candidate, loads.get(name, hello)) for name, candidate in found.items()]


def measure(run: Run) -> None:
    run.measure(rows())


def tables(figures: Figures) -> list[Table]:
    keys = sorted((row.key for row in rows() if row.key in figures), key=figures.median, reverse=True)
    versions = ", ".join(f"{name} {installed()[name]}" for name in sorted(names_of_peers()))
    note = (
        "One core each for server and load. A server that is not busy to nearly 100 % had to wait for the "
        f"load, or for others on this machine. {f'Peers: {versions}.' if versions else ''}"
    )
    return [
        _table(figures, "Peers: plaintext, 32 connections", [key for key in keys if LOGGED not in key], note),
        _table(figures, "Peers with the access log on, to a file", [key for key in keys if LOGGED in key]),
    ]


def _table(figures: Figures, title: str, keys: list[str], note: str = "") -> Table:
    head = ["server", "requests/s", "least – most", "µs of CPU each", "busy", "÷ bare asyncio"]
    lines = []
    for key in keys:
        rate, cpu = figures.median(key), figures.median(f"{key} µs")
        least, most = figures.spread(key)
        base = f"{figures.ratio(key, BASE):.2f}" if BASE in figures else "–"
        name = key.removeprefix("peers/").removesuffix(LOGGED)
        lines.append(
            [
                name,
                f"{rate:,.0f}",
                f"{least:,.0f} – {most:,.0f}",
                f"{cpu:.1f}",
                f"{rate * cpu / 1e4:.0f} %",
                base,
            ]
        )
    bars = {key.removeprefix("peers/"): figures.median(key) for key in keys}
    return Table(title, head, lines, note, bars, "requests/s")


def names_of_peers() -> set[str]:
    """The distributions that are asked for and there."""
    return {name for row in rows() for name in row.candidate.needs if name in installed()}

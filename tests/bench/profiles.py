"""Profiles: what real apps do, each beside the peer that does it best.

What counts is the server's processor time for one request, message or event. `goals.py` says which ratios
must be reached. With `--then REVISION` an older kissapi runs beside, in the same rounds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests import small_python
from tests.bench.drive import Echo, Events, Paced
from tests.bench.load import Load, Press
from tests.bench.peers.kiss import OBJECTS
from tests.bench.plaintext import LOOPS, NGINX_CONF, granian, peer, uvicorn
from tests.bench.run import Figures, Row, Run
from tests.bench.server import BUILD, NGINX, PEERS, Candidate, ours
from tests.bench.table import Table
from tests.pages import README
from tests.places import ROOT

HOME = BUILD / "bench"  # cert.pem, key.pem, static/
BROWSER = (  # with Host, ten
    "Connection: keep-alive",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Cookie: session=0123456789abcdef",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
)
NGINX_FILES = NGINX_CONF.replace(
    "location / {", f"sendfile on; location /static/ {{ root {HOME}; }} location = / {{"
)
KIB = 1024
README_APP = "README's app on python3.11-minimal"


@dataclass(frozen=True)
class Profile:
    """What is asked: of kissapi, started with `options`, on each of `loops`, and of its peers."""

    name: str
    load: Press
    options: tuple[str, ...] = ()
    peers: Mapping[str, Candidate] = field(default_factory=dict)
    loops: tuple[str, ...] = LOOPS


def blocks() -> list[list[Profile]]:
    """Profiles whose rounds are interleaved, because they are compared with one another or share a server."""
    return [
        *_requests(),
        *_bodies(),
        *_messages(),
        [
            Profile(
                "TLS handshake",
                Load(fields=("Connection: close",), scheme="https"),
                (f"tls={HOME}",),
                {
                    "a bare ssl loop": ours("tls.py", str(HOME)),
                    "granian RSGI": granian(
                        "rsgi",
                        options=("--ssl-certificate", f"{HOME}/cert.pem", "--ssl-keyfile", f"{HOME}/key.pem"),
                    ),
                },
            )
        ],
        *[[Profile(f"ASGI: {app}", Load(), peers=_asgi(app), loops=())] for app in ("raw", "starlette")],
        [Profile("WSGI: flask", Load(), peers=_wsgi(), loops=())],
        [Profile(README_APP, Load(), peers={"kissapi on selectors": _small()}, loops=())],
    ]


def _requests() -> list[list[Profile]]:
    starlette = {"uvicorn + starlette on uvloop": _uvicorn("starlette")}
    patient = ("idle_timeout=600",)
    return [
        [
            Profile("plain GET", Load(), peers=RAW | RSGI),
            Profile("2,000 GETs a second", Paced(), peers=RAW),
            Profile("10 browser headers", Load(fields=BROWSER)),
            Profile("parameter route", Load("/users/7", b"7")),
            Profile("JSON, one object", Load("/json", b'{"message": "Hello, world!"}', any_json=True)),
            Profile("pipelined 16", Load(pipelined=16)),
        ],
        [
            Profile("bare value", Load()),
            Profile("Response", Load("/response")),
            Profile("Response with a type", Load("/response/type")),
            Profile("Response with two fields", Load("/response/fields")),
        ],
        [Profile("access log off", Load()), Profile("access log on", Load(), ("log=on",))],
        [
            Profile("0 idle beside", Load(), patient),
            Profile("10,000 idle beside", Load(idle=10_000), patient),
        ],
        [
            Profile("10 routes", Load("/section9/thing9/7", b"7"), ("routes=10",)),
            Profile("10,000 routes", Load("/section99/thing9999/7", b"7"), ("routes=10000",)),
        ],
        [Profile("def, in a thread", Load("/blocking"), peers=starlette)],
        [Profile("10 ms of sleep, 1,000 connections", Load("/sleep", connections=1000), peers=RAW)],
    ]


def _bodies() -> list[list[Profile]]:
    chunked = Load("/sum?a=13&b=42", b"75", body=b"20", chunked=True)
    posts = (Load("/sum?a=13&b=42", b"75", body=b"20"), chunked)
    falcon = {"fastpysgi + falcon": peer("wsgi.py", "fastpysgi", "falcon", "PORT", needs="fastpysgi falcon")}
    sanic = {"sanic": peer("own.py", "sanic", "PORT", needs="sanic")}
    nginx = {"nginx": Candidate((NGINX, "-c", "FOLDER/conf"), ("nginx",), conf=NGINX_FILES)}
    thousand, million = b"x" * 1000 * KIB, b"x" * KIB * KIB
    objects = Load("/objects", json.dumps(OBJECTS).encode(), any_json=True)
    return [
        [
            Profile("HttpArena mix", Load("/sum?a=13&b=42", b"55", and_then=posts), peers=RAW | falcon),
            Profile("POST 2 bytes, chunked", chunked, peers=RAW),
        ],
        [
            Profile(
                "upload 1 MiB, buffered",
                Load("/length", b"1048576", connections=8, body=million),
                peers=RAW | AIOHTTP | sanic,
            )
        ],
        [
            Profile("stream, async generator", Load("/stream", thousand, connections=8), peers=RAW | RSGI),
            Profile("stream, plain generator", Load("/stream/plain", thousand, connections=8)),
        ],
        [
            Profile("JSON, 50 objects", objects, peers=sanic),
            Profile("JSON, 50 objects, no msgspec", objects, ("without=msgspec,orjson",)),
        ],
        [Profile("file 1 KiB", Load("/static/1k.txt", b"x" * KIB), (f"static={HOME}/static",), nginx)],
    ]


def _messages() -> list[list[Profile]]:
    fast, slow = ("websocket=on",), ("websocket=on", "without=websockets")
    sizes = [
        Profile(f"WebSocket 64 KiB {kind}{without}", Echo(8, size=64 * KIB, binary=binary), options, peers)
        for without, options, peers in (("", fast, RAW), (", no C masker", slow, {}))
        for kind, binary in (("text", False), ("binary", True))
    ]
    return [
        [Profile("WebSocket 32 B", Echo(), fast, RAW | AIOHTTP)],
        sizes,
        [Profile("WebSocket to 500", Echo(500, "/broadcast", size=64, to_all=True), fast, AIOHTTP)],
        [Profile("SSE to 2,000", Events(), peers=AIOHTTP)],
    ]


def _uvicorn(app: str, loop: str = "uvloop") -> Candidate:
    options = ("--ws", "websockets", "--ws-per-message-deflate", "false")
    candidate = uvicorn(app, loop)
    return replace(candidate, command=candidate.command + options, needs=(*candidate.needs, "websockets"))


def _asgi(app: str) -> dict[str, Candidate]:
    found = {f"kissapi on {loop}": _hosted(f"asgi:{app}", loop) for loop in LOOPS[:2]}
    found |= {f"uvicorn on {loop}": _uvicorn(app, loop) for loop in LOOPS[:2]}
    return found | {"granian": granian("asgi", app=app)}


def _wsgi() -> dict[str, Candidate]:
    options = ("-k", "gthread", "--threads", "40", "-w", "1", "-b", "127.0.0.1:PORT", "--log-level", "error")
    return {
        **{f"kissapi on {loop}": _hosted("wsgi:flask", loop) for loop in LOOPS},
        "waitress": peer("wsgi.py", "waitress", "flask", "PORT", needs="waitress flask"),
        "gunicorn": peer("-m", "gunicorn", *options, "wsgi:flask()", needs="gunicorn flask"),
    }


def _hosted(app: str, loop: str) -> Candidate:
    """An app of the peers on kissapi, in the environment of the peers."""
    options = ("--host", "127.0.0.1", "--port", "PORT", "--loop", loop, "--no-access-log")
    package = app.rpartition(":")[2]
    needs = f"httptools uvloop {package if package != 'raw' else ''}"
    return replace(peer("-m", "kissapi", app, *options, needs=needs), path=str(ROOT))


def _small() -> Candidate:
    """The first program of the README, on Debian's small Python."""
    program = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]
    program = program.replace("Server(", 'Server("127.0.0.1", PORT, backend="selectors", access_log=False, ')
    return Candidate((sys.executable, "small.py", "FOLDER/conf"), conf=program)


RAW = {"uvicorn + raw on uvloop": _uvicorn("raw")}
RSGI = {"granian RSGI": granian("rsgi")}
AIOHTTP = {
    "aiohttp on asyncio": peer("own.py", "aiohttp", "PORT", needs="aiohttp"),
    "aiohttp on uvloop": peer("own.py", "aiohttp_uvloop", "PORT", needs="aiohttp uvloop"),
}


def key_of(name: str, who: str) -> str:
    return f"profiles/{name}/{who}"


def rows(block: list[Profile], then: str = "") -> list[Row]:
    """One candidate after the other; kissapi and its predecessor are neighbours."""
    python = str(PEERS / "bin/python") if (PEERS / "bin/python").exists() else sys.executable
    found = []
    for loop in LOOPS:
        for who, path in (("kissapi", str(ROOT)), *([("then", then)] if then else [])):
            for profile in block:
                if loop in profile.loops:
                    candidate = ours("kiss.py", loop, *profile.options, python=python, path=path)
                    found.append(Row(key_of(profile.name, f"{who} on {loop}"), candidate, profile.load))
    names = dict.fromkeys(name for profile in block for name in profile.peers)
    for name in names:
        found += [
            Row(key_of(profile.name, name), profile.peers[name], profile.load)
            for profile in block
            if name in profile.peers
        ]
    return found


def measure(run: Run) -> None:
    then = _checkout(run.then) if run.then else ""
    _make_files()
    if run.wants(key_of(README_APP, "")):
        try:
            small_python.debian()  # which may have to be fetched
        except small_python.Missing as reason:
            run.left_out[README_APP] = str(reason)
    for block in blocks():
        if block[0].name not in run.left_out:
            run.measure(rows(block, then))


def _make_files() -> None:
    (HOME / "static").mkdir(parents=True, exist_ok=True)
    (HOME / "static/1k.txt").write_bytes(b"x" * KIB)
    if not (HOME / "cert.pem").exists():
        new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
        command = [*new.split(), "-days", "3650", "-keyout", HOME / "key.pem", "-out", HOME / "cert.pem"]
        subprocess.run(command, check=True, capture_output=True)


def _checkout(revision: str) -> str:
    """A folder with kissapi as it was in that revision."""

    def git(*command: str) -> bytes:
        return subprocess.run(["git", *command], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout

    commit = git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    folder = HOME / f"then-{commit[:12]}"
    archive = git("archive", commit, "kissapi", "compat")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return str(folder)


def tables(figures: Figures) -> list[Table]:
    lines = []
    for profile in (profile for block in blocks() for profile in block):
        cells = []
        for who in ("kissapi", "then"):
            keys = [key_of(profile.name, f"{who} on {loop}") + " µs" for loop in LOOPS]
            found = [f"{figures.least(key):,.1f}" if key in figures else "–" for key in keys]
            cells.append("–" if set(found) == {"–"} else " · ".join(found))
        beside = [
            f"{name} {figures.least(key):,.1f}"
            for name in profile.peers
            if not name.startswith("kissapi") and (key := key_of(profile.name, name) + " µs") in figures
        ]
        if beside or set(cells) != {"–"}:
            lines.append([profile.name, *cells, ", ".join(beside)])
    head = ["profile", "kissapi", "then", "beside"]
    note = (
        "The server's processor time for one, in µs, in the best round. "
        f"Three figures are those of {', '.join(LOOPS)}."
    )
    return [Table("Profiles", head, lines, note)]

"""Who may import what: a table held against the sources by `ast`, and `import kissapi` in a fresh Python.

Laws 1 and 7 of the design. A rule that is in the way is a question to the design first, to this table second.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Free for all: they cost nothing to import and reach nothing outside.
FREE = frozenset(
    "__future__ abc collections collections.abc functools itertools operator types typing warnings".split()
)

# module: what it may import beside FREE, and why that is all. A leading dot stands for `kissapi`, and a name
# stands for what is below it too. A `*` at the end of a module covers every module below it.
TABLE: dict[str, tuple[str, str]] = {
    "kissapi": (".", "the public names, from where they are"),
    "kissapi.limits": ("", "numbers with their reasons"),
    "kissapi.core": (".core", "its names"),
    "kissapi.core.*": ("json .core", "closed: nothing of kissapi outside of core/"),
    "kissapi.headers": (".codec", "a mapping"),
    "kissapi.cookies": ("time .headers", "the field that sets one; of time only the type of a date"),
    "kissapi.host": ("re", "a grammar"),
    "kissapi.codec": ("json re threading .compat.json .core", "text inside HTTP; an encoder for each thread"),
    "kissapi.path": ("uuid .compat.uuid .codec .core", "the pattern of a route"),
    "kissapi.router": (
        "errno .handlers .headers .path .extras.websocket",
        "what the user registers; it knows no request and no response",
    ),
    "kissapi.handlers": (".awaitables", "functions of an app, as coroutine functions"),
    "kissapi.dispatch": (
        ".body_reader .core .framing .handlers .limits .path .response .router",
        "request → the coroutine that answers it",
    ),
    "kissapi.request": (".codec .core .headers .limits", "what was asked"),
    "kissapi.response": (
        "time .codec .cookies .core .headers .upgrade",
        "what is answered; of time only the type of a date",
    ),
    "kissapi.request_line": ("re .codec .core .headers .host", "method, target, version"),
    "kissapi.head": ("re .request_line", "a whole head of the usual form, at one look"),
    "kissapi.framing": ("re .compat.chunked .core .headers", "where a message ends"),
    "kissapi.parser": (
        "httptools .compat.httptools .contract .core .framing .head .host .limits .request_line",
        "bytes → request",
    ),
    "kissapi.pure": (".compat.httptools .parser", "HttpParser over the stand-in, asked for by name"),
    "kissapi.encoder": (".codec .core .body_writer .response", "result → bytes, or the sender that will"),
    "kissapi.contract": (".core", "what a parser can do"),
    "kissapi.connection": (".core .threads", "limits of time"),
    "kissapi.upgrade": (".connection .core", "a connection that is another protocol's"),
    "kissapi.body_reader": (".awaitables .core", "a body that a handler takes as it comes"),
    "kissapi.body_writer": (".awaitables .core .response", "a body that goes out as it is made"),
    "kissapi.service": (
        (
            "time .awaitables .body_reader .contract .core .dispatch .encoder .handlers .request .response"
            " .sockets .threads"
        ),
        "what one loop serves; the clock is read here, once a tick",
    ),
    "kissapi.threads": (
        "threading contextvars queue .compat.contextvars .compat.queue .limits",
        "worker threads",
    ),
    "kissapi.trust": ("socket", "addresses of proxies; of socket only how one is written"),
    "kissapi.forwarded": (
        "re .headers .host .request .trust",
        "fields about the client; imported when a server asks",
    ),
    "kissapi.proxy_protocol": (
        "re socket .trust",
        "what comes before the first byte of a client; imported when a server asks",
    ),
    "kissapi.address": ("os", "where a server listens, as people write it"),
    "kissapi.notify": ("os socket", "what systemd is told"),
    "kissapi.workers": (
        (
            "atexit gc os signal socket sys threading traceback .awaitables .backends.loop .log .restart"
            " .share .signals .worker"
        ),
        "the master of several processes",
    ),
    "kissapi.worker": ("os signal socket .program .restart", "one of them: a program that has a master"),
    "kissapi.share": ("mmap", "how many clients each worker has, where all of them see it"),
    "kissapi.loops": ("socket threading .awaitables .service", "several event loops, each in its thread"),
    "kissapi.sockets": ("array errno os select socket stat struct sys", "binding and accepting"),
    "kissapi.restart": ("os socket subprocess sys .sockets", "a new process that takes the sockets over"),
    "kissapi.signals": ("os signal sys threading", "who heeds a signal, and in which process"),
    "kissapi.program": (
        "os signal threading time .awaitables .backends.loop .notify .restart .signals .workers",
        "a process that serves: restart, end",
    ),
    "kissapi.server": (
        (
            "importlib.util os threading .address .awaitables .backends .extras.debug .forwarded .limits .log"
            " .loops .parser .program .proxy_protocol .request .restart .router .service .sockets .threads"
            " .tls .trust"
        ),
        "the life of a server; the backend is imported when it is known",
    ),
    "kissapi.backends": ("", "what a backend is, in words"),
    "kissapi.tls": ("os ssl", "the context of new handshakes; imported when a server has one"),
    "kissapi.backends.asyncio": (
        "asyncio uvloop selectors socket sys .backends.epoll .backends.tls .connection .service",
        "hands sockets to asyncio",
    ),
    "kissapi.backends.epoll": ("math selectors", "what asyncio asks which sockets are ready"),
    "kissapi.backends.selectors": (
        "socket .backends.loop .backends.poll .backends.tls .connection .service",
        "a Transport over a non-blocking socket",
    ),
    "kissapi.backends.tls": (
        "ssl .connection",
        "a transport over a transport; it knows no socket and no loop",
    ),
    "kissapi.backends.poll": ("select selectors", "which sockets are ready; it knows nothing of loops"),
    "kissapi.backends.loop": (
        "heapq signal socket sys threading time traceback .backends.poll .threads",
        "asyncio's names, small; it knows nothing of HTTP",
    ),
    "kissapi.awaitables": ("sys .threads", "what a handler can await on every backend"),
    "kissapi.log": (
        "io logging os select stat sys time traceback colorama .compat.colorama",
        "lines for people",
    ),
    "kissapi.__main__": (
        (
            "argparse os sys .extras.json_log .extras.routes .flags .limits .program .reload .router .server"
            " .signals .target"
        ),
        "the command line",
    ),
    "kissapi.flags": ("argparse re . .limits .server", "what a command line says of a server"),
    "kissapi.target": (
        "importlib os sys traceback .program .router .server",
        "what a name on a command line stands for",
    ),
    "kissapi.reload": (
        "os signal sys threading tempfile .extras.reload_page .program .restart .target .watch",
        "a program that starts anew when a file changes",
    ),
    "kissapi.watch": ("os sys threading time watchfiles", "files that were imported"),
    "kissapi.extras": ("", "what it is"),
    "kissapi.compat": ("", "stand-ins, each in its file"),
    "kissapi.compat.*": ("re sys threading .compat", "what every Python has, and other stand-ins"),
}

# Law 1, apart from the table so that a line added there cannot break it: no I/O, clock, thread or loop here.
OUTSIDE = "socket selectors asyncio ssl threading time .log .server .backends"
NEVER: dict[str, str] = {
    "kissapi.connection": f"{OUTSIDE} .router",
    "kissapi.parser": f"{OUTSIDE} .router .connection",
    "kissapi.request": f"{OUTSIDE} .router .connection .parser",
    "kissapi.router": f"{OUTSIDE} .connection .parser",
    "kissapi.core.connection": f"{OUTSIDE} .router",
    "kissapi.core.hooks": f"{OUTSIDE} .router .connection .parser",
}

# What a small build may lack has ONE door: no other file imports it or its stand-in. Each way outside is
# kept to as few files as can be.
DOORS: dict[str, str] = {
    "httptools": "kissapi.parser kissapi.pure",  # pure: the stand-in, asked for by name
    "json": "kissapi.codec kissapi.core.message",
    "uuid": "kissapi.path",
    "contextvars": "kissapi.threads",
    "queue": "kissapi.threads",
    "colorama": "kissapi.log",
    "asyncio": "kissapi.backends.asyncio",
    "ssl": "kissapi.tls kissapi.backends.tls",
    "uvloop": "kissapi.backends.asyncio",
    "selectors": "kissapi.backends.poll kissapi.backends.epoll kissapi.backends.asyncio",
    "socket": (
        "kissapi.sockets kissapi.notify kissapi.loops kissapi.restart"
        " kissapi.workers kissapi.worker"
        " kissapi.trust kissapi.proxy_protocol"
        " kissapi.backends.asyncio kissapi.backends.loop kissapi.backends.selectors kissapi.backends.tls"
    ),
    "threading": (
        "kissapi.codec kissapi.threads kissapi.program kissapi.loops kissapi.reload kissapi.signals"
        " kissapi.watch kissapi.workers kissapi.backends.loop"
    ),
    "signal": (
        "kissapi.signals kissapi.program kissapi.workers kissapi.worker kissapi.reload kissapi.backends.loop"
    ),
}

# Law 7.
SLOW = "asyncio ssl json http dataclasses inspect argparse email typing_extensions".split()


def modules() -> dict[str, Path]:
    """Every module of the package by its installed name."""
    found = {}
    for top, package in (("kissapi", "kissapi"), ("compat", "kissapi.compat")):
        for file in sorted((ROOT / top).rglob("*.py")):
            parts = [package, *file.relative_to(ROOT / top).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


MODULES = modules()


@cache
def imported(module: str) -> tuple[str, ...]:
    """The modules that `module` imports, wherever in it, except what only a type checker reads."""
    return tuple(_imported(module))


def _imported(module: str) -> Iterator[str]:
    file = MODULES[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    todo: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                below = f"{source}.{alias.name}"
                yield below if below in MODULES else source
        todo += ast.iter_child_nodes(node)


def spelled(names: str) -> set[str]:
    return {f"kissapi{name}".rstrip(".") if name.startswith(".") else name for name in names.split()}


def covers(rule: str, name: str) -> bool:
    """`a.b` covers a.b and all below it."""
    return name == rule or name.startswith(f"{rule}.")


def rule_of(module: str) -> tuple[str, str] | None:
    return TABLE.get(module) or next(
        (rule for name, rule in TABLE.items() if name.endswith(".*") and module.startswith(name[:-1])), None
    )


EXTRAS = [module for module in MODULES if module.startswith("kissapi.extras.")]
CORE = [module for module in MODULES if module not in EXTRAS]


# Those that a word of the core stands for, imported when it is used: `@router.websocket`,
# `Server(debug=True)`. Nothing of the core imports the command line.
OWN = {
    "kissapi.router": ".extras.websocket",
    "kissapi.server": ".extras.debug",
    "kissapi.__main__": ".extras.json_log .extras.routes",
    "kissapi.reload": ".extras.reload_page",
}


@pytest.mark.parametrize("module", CORE)
def test_the_core_imports_no_extra(module: str) -> None:
    own = set(spelled(OWN.get(module, "")))
    assert {name for name in imported(module) if covers("kissapi.extras", name)} <= own


@pytest.mark.parametrize("module", CORE)
def test_a_module_imports_what_the_table_allows(module: str) -> None:
    rule = rule_of(module)
    assert rule is not None, (
        f"{module} is new: say in TABLE of {Path(__file__).name} what it may import, and why"
    )
    allowed = spelled(rule[0])
    for name in imported(module):
        assert name in FREE or any(covers(each, name) for each in allowed), (
            f"{module} imports {name}, but is {rule[1]!r}: it may import {sorted(allowed) or 'nothing'}"
        )


@pytest.mark.parametrize("module", [module for module in NEVER if module in MODULES])
def test_a_module_keeps_clear_of_what_it_must_not_know(module: str) -> None:
    for name in imported(module):
        for never in spelled(NEVER[module]):
            assert not covers(never, name), f"{module} imports {name}: law 1 of the design says never"


@pytest.mark.parametrize("thing", DOORS)
def test_a_dependency_has_one_door(thing: str) -> None:
    users = {
        module
        for module in MODULES
        for name in imported(module)
        if covers(thing, name) or name == f"kissapi.compat.{thing}"
        if not module.startswith(("kissapi.compat.", "kissapi.extras."))
    }
    doors = set(DOORS[thing].split())
    assert users <= doors, f"{thing} is imported by {sorted(users - doors)}; its door is {sorted(doors)}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("kissapi.compat")])
def test_a_stand_in_never_imports_kissapi(module: str) -> None:
    for name in imported(module):
        assert not covers("kissapi", name) or covers("kissapi.compat", name), f"{module} imports {name}"


def test_the_table_names_no_module_that_is_gone() -> None:
    named = [*TABLE, *NEVER, *" ".join(DOORS.values()).split()]
    assert [name for name in named if not name.endswith(".*") and name not in MODULES] == []


def test_import_kissapi_is_light() -> None:
    program = "import sys; before = set(sys.modules); import kissapi; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "kissapi.service" in done.stdout.split()
    assert [name for name in SLOW if name in done.stdout.split()] == []

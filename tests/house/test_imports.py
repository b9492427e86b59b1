"""The import law: which room may import which, by `ast`; and `import kissapi` in a fresh Python.

A rule that is in the way is a question to the design first, to the tables here second.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.pages import README
from tests.places import ROOT

# Room: the rooms that it may import. Type-only imports count.
LAW = {
    "core": "",
    "backends": "core",
    "net": "core",
    "log": "core",
    "http": "core backends",
    "routing": "core backends http",
    "server": "core backends http routing net log",
    "process": "core backends http routing net log server",
    "cli": "core backends http routing net log server process",
    "extras": "core backends http routing log server",
}

# Lazy doors: imports inside a function, from a room that knows nothing else of the other one.
LAZY = {
    "kissapi.routing.router": "kissapi.extras.websocket",  # @router.websocket
    "kissapi.server": "kissapi.extras.debug kissapi.process",  # Server(debug=True), Server.loop()
    "kissapi.cli": "kissapi.extras",  # --log-format json
}

# The core alone: of what is outside kissapi, nothing but this.
PURE = frozenset("__future__ collections.abc functools itertools operator types typing warnings".split())


# What a small build may lack has ONE door: no other file imports it or its stand-in. Ways outside are kept to
# few rooms. A door covers what is below it.
DOORS: dict[str, str] = {
    "httptools": "kissapi.http.parser kissapi.http.pure",  # pure: the stand-in, asked for by name
    "json": "kissapi.http.json_codec",
    "multipart": "kissapi.http.multipart",
    "msgspec": "kissapi.http.json_native kissapi.http.json_values kissapi.routing.arguments.bodies",
    "pydantic": "kissapi.routing.arguments.bodies",
    "uuid": "kissapi.routing.converters",
    "contextvars": "kissapi.backends.threads",
    "queue": "kissapi.backends.threads",
    "colorama": "kissapi.log.terminal",
    "asyncio": "kissapi.backends.asyncio",
    "uvloop": "kissapi.server.event_loop",
    "selectors": "kissapi.backends.poll",
    "ssl": "kissapi.backends kissapi.net.certificate",
    "socket": "kissapi.backends kissapi.net kissapi.process kissapi.http.authority",  # authority: inet_pton
    "threading": "kissapi.backends kissapi.process kissapi.cli kissapi.http.json_codec",
    "signal": "kissapi.backends.loop kissapi.process",
}

# What `import kissapi` must not load: each costs milliseconds.
SLOW = "asyncio ssl json http dataclasses inspect argparse email typing_extensions".split()

# What the README's first program does not use, and so must not load until it serves, by its backend.
UNUSED = {
    "asyncio": "kissapi.cli kissapi.extras kissapi.backends.loop kissapi.backends.tasks unicodedata argparse",
    "selectors": "kissapi.cli kissapi.extras traceback unicodedata " + " ".join(SLOW),
}
FIRST_PROGRAM = """
import builtins, sys
texts, real = [], compile
def spy(source, name, *rest, **more):
    if str(name).startswith("<"):  # else a module
        texts.append(source)
    return real(source, name, *rest, **more)
builtins.compile = spy
program, backend = sys.argv[1:]
names = {}
exec(program.replace("server.loop()", "").replace("Server(", f"Server(port=0, backend={backend!r}, "), names)
server = names["server"]
loaded = []
server.on_start(lambda: loaded.extend(sys.modules) or server.stop())
server.loop()
print(*loaded)
print(texts)
"""


def modules() -> dict[str, Path]:
    """Every module of the package by its installed name."""
    found = {}
    for top, package in (("kissapi", "kissapi"), ("compat", "kissapi.compat")):
        for file in sorted((ROOT / top).rglob("*.py")):
            parts = [package, *file.relative_to(ROOT / top).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


MODULES = modules()


def imported(module: str, *kinds: str) -> set[str]:
    """The modules that `module` imports. Kinds: "run" at its import, "lazy" in a function, or for "types"."""
    return {name for name, kind in _imports(module) if kind in (kinds or ("run", "lazy", "types"))}


@cache
def _imports(module: str) -> tuple[tuple[str, str], ...]:
    file = MODULES[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: list[tuple[str, str]] = []
    todo: list[tuple[ast.AST, str]] = [(ast.parse(file.read_text(encoding="utf-8")), "run")]
    while todo:
        node, kind = todo.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name, kind) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                below = f"{source}.{alias.name}"
                found.append((below if below in MODULES else source, kind))
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            kind = "types"
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            kind = "lazy"
        todo += [(child, kind) for child in ast.iter_child_nodes(node)]
    return tuple(found)


def covers(rule: str, name: str) -> bool:
    """`a.b` covers a.b and all below it."""
    return name == rule or name.startswith(f"{rule}.")


def room(name: str) -> str:
    """`kissapi.http.parser` → `http`; of kissapi itself, its `__main__` and the stand-ins, none."""
    parts = name.split(".")
    return parts[1] if parts[0] == "kissapi" and parts[1:] and parts[1] in LAW else ""


@pytest.mark.parametrize("here", LAW)
def test_a_room_imports_what_the_law_allows(here: str) -> None:
    allowed = {here, *LAW[here].split()}
    wrong = []
    for module in (module for module in MODULES if room(module) == here):
        lazy = " ".join(doors for door, doors in LAZY.items() if covers(door, module)).split()
        wrong += [
            f"{module} imports {name}"
            for name in imported(module, "run", "types")
            if room(name) and room(name) not in allowed
        ]
        wrong += [
            f"{module} imports {name} in a function, and is no door to it"
            for name in imported(module, "lazy")
            if room(name) and room(name) not in allowed and not any(covers(door, name) for door in lazy)
        ]
    assert wrong == []


def test_there_are_no_circles() -> None:
    """Imports inside of functions do not count, imports of types do."""
    arrows = {
        module: {name for name in imported(module, "run", "types") if name in MODULES and name != "kissapi"}
        for module in MODULES
    }
    while leaves := [module for module, names in arrows.items() if not names & arrows.keys() - {module}]:
        for module in leaves:
            del arrows[module]
    assert arrows == {}, "each of these is on a circle, or imports one that is"


def test_the_core_knows_no_socket_no_clock_and_no_thread() -> None:
    known = {name for module in MODULES if room(module) == "core" for name in imported(module)}
    assert {name for name in known if not room(name)} <= PURE


@pytest.mark.parametrize("thing", DOORS)
def test_a_dependency_has_one_door(thing: str) -> None:
    users = {
        module
        for module in MODULES
        for name in imported(module, "run", "lazy")
        if covers(thing, name) or name == f"kissapi.compat.{thing}"
        if not module.startswith(("kissapi.compat.", "kissapi.extras."))
    }
    doors = DOORS[thing].split()
    others = [user for user in sorted(users) if not any(covers(door, user) for door in doors)]
    assert others == [], f"{thing} is imported by {others}; its door is {doors}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("kissapi.compat")])
def test_a_stand_in_never_imports_kissapi(module: str) -> None:
    for name in imported(module):
        assert not covers("kissapi", name) or covers("kissapi.compat", name), f"{module} imports {name}"


def test_the_tables_name_no_module_that_is_gone() -> None:
    named = [*LAZY, *" ".join([*LAZY.values(), *DOORS.values()]).split()]
    assert [name for name in named if name not in MODULES] == []
    assert {room(module) for module in MODULES} - {""} == LAW.keys()


def test_import_kissapi_is_light() -> None:
    program = "import sys; before = set(sys.modules); import kissapi; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "kissapi.http.service" in done.stdout.split()
    assert [name for name in SLOW if name in done.stdout.split()] == []


@pytest.mark.parametrize("backend", UNUSED)
def test_the_first_program_loads_what_it_uses(backend: str) -> None:
    """And compiles no text: the first `compile` makes the classes of syntax trees, 0.2 MiB.

    typing compiles each field of a NamedTuple or TypedDict whose annotation is text: the modules that have
    one leave out `from __future__ import annotations`.
    """
    program = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]
    done = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", FIRST_PROGRAM, program, backend],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    *_, loaded, texts = done.stdout.splitlines()
    assert f"kissapi.backends.{backend}" in loaded.split()
    assert [name for name in loaded.split() for part in UNUSED[backend].split() if covers(part, name)] == []
    assert texts == "[]"


def test_the_command_line_asks_no_width_of_the_terminal_before_there_is_help() -> None:
    program = """
import sys
from kissapi.cli.options import make_parser, read
parser = make_parser()
read(parser, ["app:router"], {})
assert "shutil" not in sys.modules
parser.print_help()
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "50"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.partition("options:")[0].splitlines()[1:])) <= 50

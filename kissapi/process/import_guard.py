"""Import guard: the module that the command line imports must not start a server of its own.

The command line serves what is in the module after the import. `kissapi.cli.app_import` enters `importing`,
and `Program.run` calls `check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_imported: list[str] = []  # the modules that the command line imports at this moment


@contextmanager
def importing(module: str) -> Iterator[None]:
    """While the command line imports `module`: `check` raises."""
    _imported.append(module)
    try:
        yield
    finally:
        _imported.pop()


def check() -> None:
    """Raises `RuntimeError`, which says what to write instead, while the command line imports a module."""
    if _imported:
        raise RuntimeError(
            f"the command line imports {_imported[-1]} and serves what is in it: "
            'put what starts a server there below if __name__ == "__main__":'
        )

"""Event loops by name: which backend a server runs on, and what makes its loop.

`loop="uvloop"` says all of it in one word, on the command line as in `Server(…)`; `backend` and
`loop_factory` say it in two. Nothing of asyncio is imported to choose: that costs 40 ms, and selectors needs
none of it. The one door to uvloop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kissapi.http.words import did_you_mean

Factory = Callable[[], Any]

BACKENDS = ("asyncio", "selectors")
LOOPS = ("asyncio", "selectors", "uvloop")

_NO_ASYNCIO = 'this Python has no asyncio: choose loop="selectors" (--loop selectors) in its place'


def choose(
    loop: str | None, backend: str | None, loop_factory: Factory | None
) -> tuple[str, Factory | None, bool]:
    """The backend, what makes its loop, and whether that is a fallback: this Python has no asyncio.

    Raises `ValueError` for a name that is unknown, or for two that are not of one loop; `TypeError` for a
    factory that cannot be called; `ImportError` that says what to install.
    """
    if loop is not None:
        if loop not in LOOPS:
            raise ValueError(wrong_name("loop", loop, LOOPS))
        named = "selectors" if loop == "selectors" else "asyncio"
        if loop_factory is not None or backend not in (None, named):
            other = "loop_factory" if loop_factory is not None else f"backend={backend!r}"
            raise ValueError(f"loop={loop!r} and {other} are two event loops: give one of them")
        return named, _uvloop_factory() if loop == "uvloop" else None, False
    # A loop_factory names asyncio as well as its name does, and what is named is not replaced.
    fallback = backend is None and loop_factory is None and not _has_asyncio()
    if backend is None:
        backend = "selectors" if fallback else "asyncio"
    if backend not in BACKENDS:
        hint = '; for uvloop: loop="uvloop"' if backend == "uvloop" else ""
        raise ValueError(f"{wrong_name('backend', backend, BACKENDS)}{hint}")
    if loop_factory is not None and not callable(loop_factory):
        raise TypeError(f"loop_factory must be what makes an event loop, not {loop_factory!r}")
    if loop_factory is not None and backend != "asyncio":
        raise ValueError('loop_factory makes an asyncio loop: it goes with backend="asyncio"')
    return backend, loop_factory, fallback


def import_backend(name: str) -> Any:
    """The module of a backend; see `kissapi.backends` for what it has.

    Raises `ImportError` that says what to do where this Python lacks asyncio.
    """
    if name == "selectors":
        from kissapi.backends import selectors

        return selectors
    try:
        from kissapi.backends import asyncio
    except ImportError:
        if _has_asyncio():
            raise
        raise ImportError(_NO_ASYNCIO) from None
    return asyncio


def wrong_name(what: str, given: object, names: Iterable[str]) -> str:
    """The message for a name that is none of `names`, with the nearest of them."""
    *others, last = (f'"{name}"' for name in names)
    return f"{what} must be {', '.join(others)} or {last}, not {given!r}{did_you_mean(given, names)}"


def _uvloop_factory() -> Factory:
    try:
        import uvloop
    except ImportError:
        raise ImportError("uvloop is not installed: pip install kissapi[uvloop]") from None
    return uvloop.new_event_loop


def _has_asyncio() -> bool:
    from importlib.util import find_spec

    try:
        return find_spec("asyncio") is not None
    except ImportError:  # a hook that hides it
        return False

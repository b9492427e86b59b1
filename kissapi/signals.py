"""Signals: those that a program takes over, from its first moment to its end, and in no process but its own.

A signal that was ignored when the program began stays ignored, as `nohup` and a shell's `&` ask for. SIGTERM
is the exception: a server that cannot be asked to end is of no use.

A forked process that is not ours (`multiprocessing`, `os.fork` in a handler) has our handlers and no loop
that heeds them. So it gets back what stood before, and a signal means what it means to any Python program.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

Handler = Callable[[int, Any], object]

early: list[int] = []  # signals to restart that came before a program could heed them
_before: dict[int, Any] = {}  # what stood for each signal before it was taken over
_masks = threading.local()  # what a thread that forks blocked before


def ends() -> list[signal.Signals]:
    """Those that ask for the end."""
    found = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and _in_a_terminal():
        found.append(signal.SIGHUP)
    return [each for each in found if each is signal.SIGTERM or not _ignored(each)]


def restarts() -> list[signal.Signals]:
    """Those that ask for a restart, where there are any."""
    names = ["SIGUSR2"] if _in_a_terminal() else ["SIGHUP", "SIGUSR2"]
    found = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [each for each in found if not _ignored(each)]


def _in_a_terminal() -> bool:
    """Whether SIGHUP says that its window is closed, which wants no new server in it."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def _ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) == signal.SIG_IGN


def in_main_thread() -> bool:
    """Whether signals can be taken over here: Python allows it in the main thread alone."""
    return threading.current_thread() is threading.main_thread()


def keep() -> None:
    """From now on a signal to restart ends nothing: it is noted in `early`."""
    if in_main_thread():
        for number in restarts():
            take(number, _note)


def take(number: int, handler: Handler, loop: Any = None) -> None:
    """When the signal comes, call `handler(number, frame)`, whatever runs at that moment, and wake `loop`.

    In the main thread.
    """
    before = _before.setdefault(number, signal.getsignal(number) or signal.SIG_DFL)
    masks = hasattr(signal, "pthread_sigmask")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [number]) if masks else set()
    try:
        if loop is not None:
            try:
                loop.add_signal_handler(number, _nothing)
            except NotImplementedError:  # asyncio on Windows, which wakes by itself
                pass
        signal.signal(number, partial(_heed, os.getpid(), before, handler))
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def give_back(loop: Any = None) -> None:
    """Put back what stood before for each signal; in the main thread."""
    for number in tuple(_before):
        if loop is not None:
            try:
                loop.remove_signal_handler(number)
            except NotImplementedError:
                pass
        signal.signal(number, _before.pop(number))
    early.clear()


def _heed(pid: int, before: Any, handler: Handler, number: int, frame: object) -> None:
    if os.getpid() == pid:
        handler(number, frame)
    else:  # a C library has forked, which calls none of the functions below
        signal.signal(number, before)
        os.kill(os.getpid(), number)


def _fork_begins() -> None:
    # A signal that comes before the child is done with its beginning would be lost: Python forgets it.
    if _before:
        _masks.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _before)


def _fork_has_ended() -> None:
    mask = _masks.__dict__.pop("mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forked() -> None:
    if _before:
        signal.set_wakeup_fd(-1)  # it is the loop of the parent that this would wake
        give_back()
    _fork_has_ended()


def _note(number: int, frame: object) -> None:
    early.append(number)


def _nothing() -> None:
    pass


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_fork_begins, after_in_parent=_fork_has_ended, after_in_child=_forked)

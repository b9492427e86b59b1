"""Signals: what each one does, and how a program has them from its first moment to its end.

A signal that was ignored when the program began stays ignored, as `nohup` and a shell's `&` ask for. SIGTERM
is the exception: a server that cannot be asked to end is of no use.

A process that the app forks (`multiprocessing`, `os.fork` in a handler) inherits these handlers, but no loop
for them. So the handlers from before are restored in it, and signals do what they do in any Python program.
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

END, RESTART, IGNORE = "end", "restart", "ignore"

# What a program does at a signal, the master of workers included. The second END is at once.
ACTIONS = {"SIGINT": END, "SIGTERM": END, "SIGHUP": RESTART, "SIGUSR2": RESTART}
# In a terminal, SIGHUP says that the window is closed: the server ends with it.
ACTIONS_IN_A_TERMINAL = ACTIONS | {"SIGHUP": END}
# What a worker does instead: the master restarts, but a signal may be sent to the whole process group.
OF_A_WORKER = {END: END, RESTART: IGNORE}

deferred: list[int] = []  # signals to restart that came before a program could act on them
_before: dict[int, Any] = {}  # the handler of each signal before it was set
_masks = threading.local()  # the signals that a thread had blocked before it forks


def actions(of_a_worker: bool = False) -> dict[int, str]:
    """What this process is to do at each signal: END, RESTART or IGNORE.

    Signals that the system lacks, or that are to stay ignored, are left out.
    """
    found: dict[int, str] = {}
    for name, action in (ACTIONS_IN_A_TERMINAL if _in_a_terminal() else ACTIONS).items():
        number = getattr(signal, name, None)
        if number is not None and (number is signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN):
            found[number] = OF_A_WORKER[action] if of_a_worker else action
    return found


def of(action: str) -> list[int]:
    """The signals at which this process is to do `action`."""
    return [number for number, found in actions().items() if found == action]


def _in_a_terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def in_main_thread() -> bool:
    """Whether signals can be set here: Python allows it in the main thread alone."""
    return threading.current_thread() is threading.main_thread()


def defer_restarts() -> None:
    """From now on a signal to restart ends nothing: it is noted in `deferred`."""
    if in_main_thread():
        for number in of(RESTART):
            install(number, _note)


def install(number: int, handler: Handler, loop: Any = None) -> None:
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


def restore(loop: Any = None) -> None:
    """Put back what stood before for each signal; in the main thread."""
    for number in tuple(_before):
        if loop is not None:
            try:
                loop.remove_signal_handler(number)
            except NotImplementedError:
                pass
        signal.signal(number, _before.pop(number))
    deferred.clear()


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
        restore()
    _fork_has_ended()


def _note(number: int, frame: object) -> None:
    deferred.append(number)


def _nothing() -> None:
    pass


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_fork_begins, after_in_parent=_fork_has_ended, after_in_child=_forked)

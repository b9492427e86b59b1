"""colorama: its colours, where it is not installed.

The same names, the same escape sequences (ECMA-48 §8.3.117, SGR). It is missing only on small Unix builds,
where every terminal reads these sequences itself: there is no Windows console to fix, and so the three
functions have nothing to do.
"""

from __future__ import annotations


def _sgr(number: int) -> str:
    return f"\033[{number}m"


class _Fore:
    BLACK, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, WHITE = (_sgr(30 + n) for n in range(8))
    RESET = _sgr(39)
    LIGHTBLACK_EX, LIGHTRED_EX, LIGHTGREEN_EX, LIGHTYELLOW_EX = (_sgr(90 + n) for n in range(4))
    LIGHTBLUE_EX, LIGHTMAGENTA_EX, LIGHTCYAN_EX, LIGHTWHITE_EX = (_sgr(94 + n) for n in range(4))


class _Back:
    BLACK, RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN, WHITE = (_sgr(40 + n) for n in range(8))
    RESET = _sgr(49)
    LIGHTBLACK_EX, LIGHTRED_EX, LIGHTGREEN_EX, LIGHTYELLOW_EX = (_sgr(100 + n) for n in range(4))
    LIGHTBLUE_EX, LIGHTMAGENTA_EX, LIGHTCYAN_EX, LIGHTWHITE_EX = (_sgr(104 + n) for n in range(4))


class _Style:
    BRIGHT, DIM, NORMAL, RESET_ALL = _sgr(1), _sgr(2), _sgr(22), _sgr(0)


Fore, Back, Style = _Fore(), _Back(), _Style()


def just_fix_windows_console() -> None:
    """Nothing to do: see the head of this file."""


def init(
    autoreset: bool = False, convert: bool | None = None, strip: bool | None = None, wrap: bool = True
) -> None:
    """Nothing to do either, unless it is asked to change what is printed: that is refused."""
    if autoreset or convert or strip:
        raise NotImplementedError("this stand-in wraps no stream: autoreset, convert and strip need colorama")


def deinit() -> None:
    """Nothing to undo."""

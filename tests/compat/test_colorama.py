"""The colours of the stand-in are those of colorama."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from kissapi.compat import colorama as standin

try:
    import colorama as real
except ImportError:
    real = None  # type: ignore[assignment,unused-ignore]


def codes(group: Any) -> dict[str, str]:
    return {name: getattr(group, name) for name in dir(group) if name.isupper()}


@pytest.mark.skipif(real is None, reason="colorama is not installed: nothing to compare with")
@pytest.mark.parametrize("group", ["Fore", "Back", "Style"])
def test_same_codes(group: str) -> None:
    assert codes(getattr(standin, group)) == codes(getattr(real, group))


def test_codes() -> None:
    assert (standin.Fore.RED, standin.Back.RESET, standin.Style.RESET_ALL) == (
        "\033[31m",
        "\033[49m",
        "\033[0m",
    )


def test_streams_are_left_alone() -> None:
    out = sys.stdout
    standin.just_fix_windows_console()
    standin.init()
    standin.deinit()
    assert sys.stdout is out


@pytest.mark.parametrize("option", ["autoreset", "convert", "strip"])
def test_what_it_cannot_do_it_refuses(option: str) -> None:
    with pytest.raises(NotImplementedError, match=option):
        standin.init(**{option: True})

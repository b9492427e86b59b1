"""`help()` is enough: each name that an app imports says what it is, and shows how it is used."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import MemberDescriptorType, ModuleType
from typing import Any

import pytest

import kissapi
import kissapi.extras

EXTRAS = [each.name for each in pkgutil.iter_modules(kissapi.extras.__path__, "kissapi.extras.")]
MODULES = [
    each.name
    for each in pkgutil.walk_packages(kissapi.__path__, "kissapi.")
    if not each.name.endswith("__main__")
]
# Code in the text, `Queue(maxsize=100)`; an indented line; one at the margin, where there is no other text.
EXAMPLE = re.compile(
    r"`[^`]*[(=\[:@ ][^`]*`|^    \S|^>>> |^[^`\n]+ = \S|^@|^\w[^`\n]*:$|^(?:await )?[\w.]+\(.*\)$",
    re.MULTILINE,
)


def loaded(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:  # of a package that an extra needs
        pytest.skip(str(error))


def named(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The functions and classes of `__all__`."""
    for name in module.__all__:
        thing = getattr(module, name)
        if callable(thing):
            yield f"{module.__name__}.{name}", thing


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that kissapi gives a class."""
    for base in kind.__mro__:
        if base.__module__.startswith("kissapi."):
            for name, member in vars(base).items():
                slot = isinstance(member, MemberDescriptorType)
                if not name.startswith("_") and not slot and hasattr(type(member), "__get__"):
                    yield name, member


@pytest.mark.parametrize("name", ["kissapi", *EXTRAS])
def test_a_module_says_what_is_public(name: str) -> None:
    module = loaded(name)
    assert module.__doc__
    assert isinstance(module.__all__, (list, tuple)), "without it, help() shows what is the module's own"


@pytest.mark.parametrize("name", ["kissapi", *EXTRAS])
def test_each_name_has_a_sentence_and_an_example(name: str) -> None:
    lacking = []
    for path, thing in named(loaded(name)):
        text = inspect.cleandoc(thing.__doc__ or "")  # its own, not that of a parent
        if not re.match(r"[^\n]+[.:;?]", text):
            lacking.append(f"{path}: no sentence")
        elif not EXAMPLE.search(text):
            lacking.append(f"{path}: no example")
    assert lacking == []


@pytest.mark.parametrize("name", ["kissapi", *EXTRAS])
def test_each_method_has_a_sentence(name: str) -> None:
    assert [
        f"{path}.{member}"
        for path, thing in named(loaded(name))
        if isinstance(thing, type) and not getattr(thing, "_is_protocol", False)
        for member, value in members(thing)
        if not inspect.getdoc(value)
    ] == []


ROOMS = {name: [each for each in MODULES if each.split(".")[:2] == name.split(".")] for name in MODULES}


@pytest.mark.parametrize("room", ["kissapi", *(name for name, modules in ROOMS.items() if modules)])
def test_examples_come_out_as_they_say(room: str) -> None:
    missing: list[str] = []
    for name in ROOMS.get(room, [room]):
        try:
            module = importlib.import_module(name)
        except ImportError as error:  # of a package that an extra needs
            missing.append(str(error))
        else:
            assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0, name
    if missing:
        pytest.skip(f"but for what is not here, all is right: {missing}")

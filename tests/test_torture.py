"""Torture in short: every item on both backends with small numbers; `make torture` is the long form."""

from __future__ import annotations

import sys

import pytest

from tests.torture.items import ITEMS
from tests.torture.scale import SHORT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


@pytest.mark.parametrize("item", [name for name in ITEMS if name != "descriptors"])  # test_server.py has it
def test_it_stays_up(item: str, backend: str) -> None:
    print(ITEMS[item](backend, SHORT))

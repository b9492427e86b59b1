"""Torture in short: every item on both backends with small numbers; `make torture` is the long form."""

from __future__ import annotations

import sys

import pytest

from tests.torture.items import ITEMS
from tests.torture.scale import SHORT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


# test_server.py has `descriptors`; the p99 of `crowds` wants a machine that does nothing else.
SHORT_ITEMS = [name for name in ITEMS if name not in ("descriptors", "crowds")]


@pytest.mark.parametrize("item", SHORT_ITEMS)
def test_it_stays_up(item: str, backend: str) -> None:
    print(ITEMS[item](backend, SHORT))

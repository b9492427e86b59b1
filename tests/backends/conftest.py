"""Fixtures of this room."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.backends.tls_wire import TlsWire
from tests.certificates import serving, trusting


@pytest.fixture
def wire(pems: Path) -> Callable[..., TlsWire]:
    """`wire(router)` is a client that talks TLS to it, and trusts its certificate."""
    return partial(TlsWire, server=serving(pems), client=trusting(pems))

"""Fixtures: clients of tests/extras/testing/app.py, on both backends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kissapi.extras.testing import Client
from tests.extras.testing.app import Make, router, told


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes clients, and closes them after the test."""
    clients: list[Client] = []

    def make_client(*arguments: Any, **options: Any) -> Client:
        clients.append(Client(*arguments, **options))
        return clients[-1]

    told.clear()
    yield make_client
    for client in clients:
        client.close()


@pytest.fixture
def client(make: Make, backend: str) -> Client:
    return make(router, backend)

"""Items: all there is to run, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.torture.bodies import bodies
from tests.torture.churn import churn
from tests.torture.crowds import crowds
from tests.torture.descriptors import descriptors
from tests.torture.floods import floods
from tests.torture.handlers import handlers
from tests.torture.logs import logs
from tests.torture.resets import resets
from tests.torture.restarts import restarts
from tests.torture.stops import stops

if TYPE_CHECKING:
    from tests.torture.scale import Scale

ITEMS: dict[str, Callable[[str, Scale], str]] = {
    item.__name__: item
    for item in (handlers, resets, bodies, floods, logs, descriptors, crowds, churn, stops, restarts)
}

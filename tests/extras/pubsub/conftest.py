"""Fixtures of this folder."""

from tests.extras.pubsub.within import place  # noqa: F401

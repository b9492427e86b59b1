"""Fixtures of this room."""

from tests.extras.public import public_folder  # noqa: F401

"""once: a property that is worked out when it is first looked at, and kept in its place.

It is `functools.cached_property` without a lock. CPython 3.11 takes one at each first look, which costs a
request 0.3 µs. No request needs it: two threads do not look at one at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functools import cached_property

    once = cached_property  # which type checkers know
else:

    class once:  # noqa: N801  # used as a decorator, like `property`
        """A property whose value is kept: it can be set, too.

        @once
        def cookies(self) -> Cookies: ...
        """

        def __init__(self, make: Callable[[Any], Any]) -> None:
            self.make = make
            self.__doc__ = make.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self.name = name

        def __get__(self, owner: Any, kind: type) -> Any:
            if owner is None:
                return self
            if getattr(kind, self.name) is self:
                value = self.make(owner)
                # Not by `vars(owner)`: to ask for that makes CPython's look-ups of all attributes slower.
                setattr(owner, self.name, value)  # found before this is asked again
                return value
            kept = vars(owner)  # `super()` asks, for a property of the same name, which may have no setter
            if self.name not in kept:
                kept[self.name] = self.make(owner)
            return kept[self.name]

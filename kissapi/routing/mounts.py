"""Mounts: a router below a prefix of another one, and the routes that then are there twice."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kissapi.routing.path import Segment, spell
from kissapi.routing.route import shape_of


class Mount(NamedTuple):
    """A router served below a prefix."""

    segments: tuple[Segment, ...]
    router: Any  # a `Router`


def twins(entries: Mapping[Any, Any], new: Mount) -> Iterator[str]:
    """Method and path of each route of `new` that is there: among `entries`, or mounted at the same prefix.

    The keys of `entries` are those of `Router`: method and shape of a route, or a mount itself. Others than
    these are found when routes are compiled: to look at all of them would make a hundred mounts slow.
    """
    prefix, router = new
    there = set(entries)
    for entry in entries.values():
        if isinstance(entry, Mount) and shape_of(entry.segments) == shape_of(prefix):
            there |= {(route.method, shape_of(prefix + route.segments)) for route in entry.router.routes()}
    for route in router.routes():
        path = prefix + route.segments
        if (route.method, shape_of(path)) in there:
            yield f"{route.method} {spell(path)}"

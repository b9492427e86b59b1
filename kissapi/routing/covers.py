"""Covers: the covers of paths that lead to no route: 404, 405, and OPTIONS that comes for free.

Such a path has the arounds and error handlers of the deepest mounted router that has a prefix of it, and of
the routers above that one. Where several are mounted at one place, it has those of their common ancestors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kissapi.backends.handlers import as_coroutine_function
from kissapi.http.cover import Cover
from kissapi.routing.path import Segment
from kissapi.routing.pattern import CONVERTERS, rank
from kissapi.routing.route import arounds_of, errors_of

if TYPE_CHECKING:
    from kissapi.routing.router import Router


class Covers:
    """The covers of the prefixes of `router`, the best match first."""

    def __init__(self, router: Router) -> None:
        chains: dict[tuple[Segment, ...], list[tuple[Router, ...]]] = {}
        for segments, chain in router._mounts():
            chains.setdefault(_without_names(segments), []).append(chain)
        # The precedence of routing: literals before patterns before types before what takes anything.
        best = sorted(chains, key=lambda prefix: (-len(prefix), [rank(kind) for kind, _ in prefix]))
        # A prefix, as what gives None for a text that does not match its segment, and the cover below it.
        places = [
            ([_matcher(*each) for each in prefix], _cover_of_chain(_common(chains[prefix])))
            for prefix in best
        ]
        self.places = places if any(cover is not None for _, cover in places) else []

    def at(self, path: str) -> Cover | None:
        """The cover of `path`, which leads to no route; None if it has neither arounds nor error handlers."""
        parts = path.split("/")[1:]
        for segments, cover in self.places:
            if len(segments) <= len(parts) and None not in (
                matches(part) for matches, part in zip(segments, parts, strict=False)
            ):
                return cover
        return None


def cover_of(arounds: list[Callable[..., Any]], errors: Iterable[Mapping[Any, Any]]) -> Cover | None:
    """The cover of these; None if there are none."""
    tables = [{what: as_coroutine_function(table[what]) for what in table} for table in errors]
    return Cover(arounds, tables) if arounds or tables else None


def _cover_of_chain(chain: tuple[Router, ...]) -> Cover | None:
    return cover_of(arounds_of(chain), errors_of(chain))


def _common(chains: list[tuple[Router, ...]]) -> tuple[Router, ...]:
    """The longest chain if all others are a beginning of it; else what those that part have in common."""
    ends = [chain for chain in chains if not any(other[: len(chain)] == chain != other for other in chains)]
    common = ends[0]
    for chain in ends[1:]:
        length = 0
        while length < min(len(common), len(chain)) and common[length] is chain[length]:
            length += 1
        common = common[:length]
    return common


def _without_names(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    return tuple(Segment(kind, text if kind == "literal" else "") for kind, text in segments)


def _matcher(kind: str, text: str) -> Callable[[str], Any]:
    return CONVERTERS[kind] if kind != "literal" else lambda part: True if part == text else None

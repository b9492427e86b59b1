"""Constraints: what `Annotated` says of a value beside its type: `Annotated[int, msgspec.Meta(ge=1)]`.

The library that the constraint is of checks it: msgspec, or pydantic for its own and for annotated_types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

from kissapi.routing.arguments.scalars import bare

_PYDANTIC = ("pydantic", "annotated_types")


def check_of(annotation: Any) -> Callable[[Any], Any] | None:
    """What gives the checked value back, or raises `Wrong`; None if `annotation` has no constraint."""
    homes = {type(said).__module__.partition(".")[0] for said in _said(annotation)}
    if homes & {*_PYDANTIC}:
        from kissapi.routing.arguments.bodies import pydantic_check

        return pydantic_check(annotation)
    if "msgspec" in homes:
        from kissapi.routing.arguments.bodies import msgspec_check

        return msgspec_check(annotation)
    return None


def _said(annotation: Any) -> Iterator[Any]:
    inner, said = bare(annotation)
    yield from said
    for each in get_args(inner):
        if get_origin(each) is not None:
            yield from _said(each)

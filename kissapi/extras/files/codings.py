"""Codings: in which compressed form a client accepts an answer (RFC 9110 §12.5.3).

`static` looks for compressed files by it, `kissapi.extras.compress` chooses what to compress with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

CODINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}  # and the ending of such a file; the best first


@lru_cache(64)
def accepted_codings(accepted: str, offered: tuple[str, ...] = tuple(CODINGS)) -> tuple[str, ...]:
    """Those of `offered` that a client accepts whose Accept-Encoding is `accepted`, the preferred one first.

    Of two that it likes as well, the one that stands first in `offered` is preferred.

    >>> accepted_codings("gzip, br;q=0.8, zstd;q=0")
    ('gzip', 'br')
    """
    weights = _weights(accepted)
    least, others = weights.get("identity", 0.0), weights.get("*", 0.0)
    preferences = {coding: weights.get(coding, others) for coding in offered}
    usable = (coding for coding, weight in preferences.items() if weight > 0 and weight >= least)
    return tuple(sorted(usable, key=preferences.__getitem__, reverse=True))


@lru_cache(64)
def refuses_identity(accepted: str) -> bool:
    """Whether a client takes no answer that is not compressed.

    >>> refuses_identity("gzip, identity;q=0"), refuses_identity("gzip;q=1, *;q=0"), refuses_identity("gzip")
    (True, True, False)
    """
    weights = _weights(accepted)
    return weights.get("identity", weights.get("*", 1.0)) == 0


def _weights(accepted: str) -> Mapping[str, float]:
    weights: dict[str, float] = {}
    for item in accepted.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            weights[coding.removeprefix("x-")] = float(weight)
        except ValueError:
            continue  # a weight that is no number: as if the coding were not named
    return weights

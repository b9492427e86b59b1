"""Codings: which compressed form of a file a client accepts (RFC 9110 §12.5.3)."""

from __future__ import annotations

from functools import lru_cache

CODINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}  # and the ending of such a file; the best first


@lru_cache(64)
def accepted_codings(accepted: str) -> tuple[str, ...]:
    """Those of `CODINGS` that a client accepts whose Accept-Encoding is `accepted`, the preferred one first.

    >>> accepted_codings("gzip, br;q=0.8, zstd;q=0")
    ('gzip', 'br')
    """
    weights: dict[str, float] = {}
    for item in accepted.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            weights[coding.removeprefix("x-")] = float(weight)
        except ValueError:
            continue  # a weight that is no number: as if the coding were not named
    least, others = weights.get("identity", 0.0), weights.get("*", 0.0)
    preferences = {coding: weights.get(coding, others) for coding in CODINGS}
    usable = (coding for coding, weight in preferences.items() if weight > 0 and weight >= least)
    return tuple(sorted(usable, key=preferences.__getitem__, reverse=True))

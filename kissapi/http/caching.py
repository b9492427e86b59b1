"""Caching: what an answer tells the caches between server and client (RFC 9111, RFC 9110 §12.5.5).

What a hook adds to an answer goes beside what the handler has said: nothing is said twice, nothing is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kissapi.http.grammar import members

if TYPE_CHECKING:
    from kissapi.http.response import Response


def add_vary(response: Response, *names: str) -> None:
    """Tell caches that the answer depends on these fields of the request.

    >>> add_vary(response, "Origin")  # doctest: +SKIP
    """
    listed = response.headers.get("vary", "")
    there = members(listed.lower())
    more = [name for name in names if name.lower() not in there]
    if more and "*" not in there:
        response.headers["vary"] = ", ".join([listed, *more] if listed else more)


def keep_private(response: Response, *, sets_cookie: bool = False) -> None:
    """The answer is for one user: no shared cache may store it, unless the handler has said otherwise.

    With `sets_cookie` whatever it has said: a cache would give the cookie of one user to the next (RFC 9111
    §7.3); `public` and `s-maxage` are taken out.
    """
    said = response.headers.get("cache-control", "")
    if said and not sets_cookie:
        return
    directives = members(said)
    names = {each.partition("=")[0].lower() for each in directives}
    kept = [each for each in directives if each.partition("=")[0].lower() not in ("public", "s-maxage")]
    if not names & {"private", "no-store"}:
        kept.append("private")
    response.headers["cache-control"] = ", ".join(kept)

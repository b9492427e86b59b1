"""CORS: lets the scripts of pages of other origins read the answers (the Fetch standard, §3.3).

    router.around(cors(origins=["https://shop.example"], credentials=True))

Before a page sends what no form could, its browser asks: OPTIONS with `Access-Control-Request-Method`, which
is called a preflight. It is answered with 204; no route and no inner hook sees it. Put this hook outside of
hooks that ask for a password: a preflight has none. All answers get the fields, errors too, so that scripts
can read why.

It opens a door and closes none. A page that is not allowed gets its answer without the fields, and its
browser does not show it; what the request has done is done. Against that there is `kissapi.extras.csrf`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from typing import TYPE_CHECKING

from kissapi.http.caching import add_vary
from kissapi.http.grammar import is_token
from kissapi.http.limits import check_number
from kissapi.http.origin import is_origin, origin_list, spelled
from kissapi.http.response import Response
from kissapi.http.verdict import verdict_of

if TYPE_CHECKING:
    from re import Pattern

    from kissapi.http.request import Request

__all__ = ["cors"]

METHODS = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE")

_OF_PREFLIGHTS = ("Access-Control-Request-Method", "Access-Control-Request-Headers")


def cors(
    origins: Collection[str] | Pattern[str] | Callable[[str], bool],
    *,
    credentials: bool = False,
    methods: Collection[str] = METHODS,
    headers: Collection[str] = "*",
    expose: Collection[str] = (),
    max_age: int = 600,
    private_network: bool = False,
) -> Callable[[Request], AsyncGenerator[Response | None, Response]]:
    """An around hook that lets pages of `origins` read the answers.

    `origins` is a list such as `["https://shop.example", "http://localhost:3000"]`; `"*"` for any page; a
    pattern of `re` that matches the whole of an origin; or a function from an origin to a bool. Origins are
    in lower case there, without the usual port; `"null"` is allowed by a list alone. With `credentials` pages
    may send the user's cookies; then `origins` must not be `"*"`, for each page on the web could act as the
    user. `methods` and `headers` are what a page may send, `"*"` all; `expose` lists the fields of answers
    that its scripts may read beside the usual ones. Browsers remember a preflight for `max_age` seconds.
    With `private_network`, public pages may ask this server in a private network. Of two cors hooks round one
    route the inner one decides. Raises `ValueError` and `TypeError` for settings that make no sense.

        router.around(cors(re.compile(r"https://[a-z0-9-]+\\.shop\\.example"), expose=["x-total"]))
    """
    check_number("max_age", max_age, 0)
    allows = _test_of(origins)
    if credentials and (origins == "*" or allows("null")):
        raise ValueError(
            f"with credentials=True, origins={origins!r} would let any page on the web act as your user "
            '(a sandboxed frame has the origin "null"), and browsers refuse "*": list the origins'
        )
    if credentials and expose == "*":
        raise ValueError('with credentials=True browsers take expose="*" for the name of a field: list them')
    allowed_methods = None if methods == "*" else _names("methods", methods).upper()
    allowed_headers = None if headers == "*" else _names("headers", headers)
    exposed = "*" if expose == "*" else _names("expose", expose)
    varies = origins != "*"

    def allowed(request: Request) -> str:
        """The value of Access-Control-Allow-Origin, "" for a page that is not allowed."""
        if not varies:
            return "*"
        origin = request.headers.get("origin", "")
        return origin if origin and allows(spelled(origin)) else ""

    def preflight(request: Request, method: str) -> Response:
        asked = request.headers.get("access-control-request-headers", "")
        fields = {"access-control-allow-methods": method if allowed_methods is None else allowed_methods}
        if allowed_headers is not None:
            fields["access-control-allow-headers"] = allowed_headers
        elif all(is_token(name.strip(" \t")) for name in asked.split(",")):
            fields["access-control-allow-headers"] = asked
        if private_network and request.headers.get("access-control-request-private-network") == "true":
            fields["access-control-allow-private-network"] = "true"
        fields["access-control-max-age"] = str(max_age)
        return Response(None, 204, {name: value for name, value in fields.items() if value})

    async def share(request: Request) -> AsyncGenerator[Response | None, Response]:
        origin = allowed(request)
        method = request.headers.get("access-control-request-method", "")
        is_preflight = request.method == "OPTIONS" and is_token(method) and "origin" in request.headers
        response = yield preflight(request, method) if is_preflight and origin else None
        if varies:
            add_vary(response, "Origin")
        if is_preflight:
            add_vary(response, *_OF_PREFLIGHTS)
        fields = response.headers
        if not origin or "access-control-allow-origin" in fields:
            return
        fields["access-control-allow-origin"] = origin
        if credentials:
            fields["access-control-allow-credentials"] = "true"
        if exposed and not is_preflight:
            fields["access-control-expose-headers"] = exposed

    share.__qualname__ = "cors"  # for `kissapi routes`
    return share


def _test_of(origins: Collection[str] | Pattern[str] | Callable[[str], bool]) -> Callable[[str], bool]:
    """What tells whether an origin is allowed, for any form of `origins`."""
    if hasattr(origins, "fullmatch"):
        matches = origins.fullmatch
        return lambda origin: is_origin(origin) and matches(origin) is not None
    if callable(origins):
        ask = verdict_of(origins, "the function for origins")
        return lambda origin: is_origin(origin) and ask(origin)
    return (origin_list(origins) if origins != "*" else frozenset[str]()).__contains__


def _names(what: str, names: Collection[str]) -> str:
    """The names that an app lists, as a field has them."""
    listed = tuple(names)
    if isinstance(names, str) or not all(isinstance(name, str) and is_token(name) for name in listed):
        raise ValueError(f'{what} is a list of names, or "*", not {names!r}')
    return ", ".join(listed)

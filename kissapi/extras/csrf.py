"""CSRF: refuses what a page of another site has a browser send with the cookies of its user.

    router.around(sessions(SECRET))
    router.around(csrf())

Browsers say in `Sec-Fetch-Site` whether the page is of the same origin; older ones, and all over plain http,
name the page in `Origin`. Both are fields that no page can forge, so forms and scripts need no change. That
is the rule of Go's `http.CrossOriginProtection`:

    GET, HEAD, OPTIONS                                  pass: they must not change anything
    Sec-Fetch-Site: same-origin, or none (the user)     pass
    Sec-Fetch-Site: same-site or cross-site             403, unless Origin is one of `origins`
    Origin of the same host and port                    pass
    another Origin                                      403, unless one of `origins`, or with a valid token
    neither field                                       pass: no browser has sent it

The token is for the browsers in the last line but one: a proxy has changed the host, or an extension the
origin. `req.csrf_token` goes into the field `csrf_token` of a form, or into `x-csrf-token`. What it is
compared with is in the session if `sessions` is outside of this hook, else in a cookie of its own.
"""

from __future__ import annotations

import os
from _operator import _compare_digest as compare_digest  # as hmac has it, which a small Python lacks
from collections.abc import AsyncGenerator, Callable, Collection
from operator import xor
from typing import TYPE_CHECKING

from kissapi.core import Fail
from kissapi.extras.site_cookie import SiteCookie
from kissapi.http.caching import add_vary, keep_private
from kissapi.http.extra import offer
from kissapi.http.forms import MULTIPART, URLENCODED, media_type
from kissapi.http.origin import is_own, origin_list, shown, spelled
from kissapi.http.verdict import verdict_of

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.http.response import Response

__all__ = ["csrf"]

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # RFC 9110 §9.2.1
SIZE = 32  # bytes of a secret
FIELD, HEADER = "csrf_token", "x-csrf-token"

_KEY = "_csrf"  # in the session


def csrf(
    *,
    origins: Collection[str] = (),
    exempt: Collection[str] | Callable[[Request], bool] = (),
    cookie: str = "csrf",
) -> Callable[[Request], AsyncGenerator[None, Response]]:
    """An around hook that answers 403 to requests that pages of other origins cause; see the module.

    Pages of `origins` may do all that own pages may: `["https://admin.example.org"]`. `exempt` lists paths
    that are not looked at (with all below them, if they end in a slash), or is a function from the request to
    a bool: for a payment provider that has the browser POST its answer. `cookie` has the secret of the tokens
    where there is no session. Raises `ValueError` for what is no origin and no path.

        router.around(csrf(origins=["https://admin.example.org"], exempt=["/saml/"]))
    """
    trusted = origin_list(origins)
    if "null" in trusted:
        raise ValueError('any page can have the origin "null", from a sandboxed frame: not in origins')
    is_exempt = verdict_of(exempt, "exempt") if callable(exempt) else _exempt_paths(exempt)
    site_cookie = SiteCookie(cookie)

    async def same_origin(request: Request) -> AsyncGenerator[None, Response]:
        in_session = not {"session", "_make_session"}.isdisjoint(vars(request))
        token = new_secret = ""

        def kept(request: Request) -> bytes:
            """The secret of this browser, empty without one."""
            text = request.session.get(_KEY) if in_session else site_cookie.read(request)
            secret = _bytes_of(text)
            return secret if len(secret) == SIZE else b""

        def make(request: Request) -> str:
            nonlocal token, new_secret
            secret = kept(request)
            if not secret:
                secret = os.urandom(SIZE)
                new_secret = secret.hex()
                if in_session:
                    request.session[_KEY] = new_secret
            token = _masked(secret)
            return token

        offer(request, "csrf_token", make)
        if request.method not in SAFE and (why := _refusal(request, trusted)) and not is_exempt(request):
            certain = bool(request.headers.get("sec-fetch-site"))  # no token is needed to know better
            if certain or not _is_token(_token_of(request), kept(request)):
                raise Fail(403, why)
        response = yield
        if token and not in_session:
            if new_secret:
                site_cookie.set(request, response, new_secret)
            add_vary(response, "Cookie")
            keep_private(response, sets_cookie=bool(new_secret))

    same_origin.__qualname__ = "csrf"  # for `kissapi routes`
    return same_origin


def _refusal(request: Request, trusted: Collection[str]) -> str:
    """Why the request may come from a page of another site; "" if it does not."""
    site = request.headers.get("sec-fetch-site", "")
    origin = request.headers.get("origin", "")
    if site in ("same-origin", "none") or not (site or origin):
        return ""
    page = spelled(origin)
    if page in trusted or (not site and is_own(request, page)):
        return ""
    if site:
        said = f"Sec-Fetch-Site is {shown(site)}" + f", Origin {shown(origin)}" * bool(origin)
        return f"Forbidden: a page of another origin has sent this ({said}). To let it: csrf(origins=[…])"
    return (
        f"Forbidden: a page of {shown(origin)} has sent this to another host (behind a proxy: "
        "trusted_proxies and proxy_headers tell the real one). To let it: csrf(origins=[…]), "
        f"or the token of req.csrf_token in the form field {FIELD} or the header {HEADER}"
    )


def _exempt_paths(paths: Collection[str]) -> Callable[[Request], bool]:
    """Whether the path of a request is listed, or below one that ends in a slash."""
    whole = frozenset(paths)
    if isinstance(paths, str) or not all(isinstance(path, str) and path.startswith("/") for path in whole):
        raise ValueError(f'exempt is a list of paths such as ["/webhooks/"], or a function, not {paths!r}')
    if "/" in whole:
        raise ValueError('exempt=["/"] is all paths; for the root alone: exempt=lambda req: req.path == "/"')
    below = tuple(path for path in whole if path.endswith("/"))
    return lambda request: request.path in whole or request.path.startswith(below)


def _token_of(request: Request) -> str:
    """The token that came with a request, "" without one."""
    token = request.headers.get(HEADER, "")
    is_form = media_type(request.headers.get("content-type")) in (URLENCODED, MULTIPART)
    if not token and is_form and request._reader is None:  # a body that streams is the handler's
        token = request.form.get(FIELD, "")
    return token


def _masked(secret: bytes) -> str:
    """`secret` in a spelling that is another one each time: an answer that is compressed would give it away
    byte by byte (BREACH)."""
    mask = os.urandom(SIZE)
    return (mask + _xor(mask, secret)).hex()


def _is_token(token: str, secret: bytes) -> bool:
    octets = _bytes_of(token)
    if not secret or len(octets) != 2 * SIZE:
        return False
    return compare_digest(_xor(octets[:SIZE], octets[SIZE:]), secret)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(map(xor, one, other))


def _bytes_of(text: object) -> bytes:
    try:
        return bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""

"""Auth: around hooks that ask a client for its credentials: `basic`, `bearer`, `api_key`, or `any_of` them.

    from kissapi.extras.auth import bearer

    async def find(req: Request, token: str) -> User | None:
        return await req.app.users.by_token(token)

    router.around(bearer(find))

Each hook does the same: it takes the credentials from the request, asks `check` for the user, and sets
`req.user`, or answers 401 with `WWW-Authenticate`. As an around it covers all that its router answers,
mounted routers and 404 among it: which paths exist is a secret as well. The answers are for one user, which
they say to caches. `check` is a function, or a mapping for a few clients that never change. The hook carries
`security`, its OpenAPI security schemes by name.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from _operator import _compare_digest as compare_digest  # as hmac has it, which a small Python lacks
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kissapi.backends.awaitables import in_thread_of
from kissapi.backends.handlers import is_plain
from kissapi.core import Fail
from kissapi.http.caching import add_vary, keep_private
from kissapi.http.grammar import is_token
from kissapi.routing.signature import place_of, signature_of

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.http.response import Response

__all__ = ["any_of", "api_key", "basic", "bearer", "same"]

Check = Callable[..., Any] | Mapping[str, Any]

_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what a Bearer token is made of (RFC 6750 §2.1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # no name and no password has them (RFC 7617 §2)
_QUOTABLE = re.compile(r"[ !#-\[\]-~]*")  # what a quoted string holds without escapes (RFC 9110 §5.6.4)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")  # in the name of an OpenAPI component


def same(given: str, known: str) -> bool:
    """Whether two secrets are equal; it takes as long for a good guess as for a bad one.

    `==` stops at the first character that differs, which a client can measure. `hmac.compare_digest` alone
    refuses text beyond ASCII.

        >>> same("pässword", "pässword")
        True
    """
    return bool(
        compare_digest(given.encode("utf-8", "surrogatepass"), known.encode("utf-8", "surrogatepass"))
    )


class Scheme(NamedTuple):
    """One way to send credentials."""

    name: str
    read: Callable[[Request], tuple[str, ...] | None]  # None if there are none, () if they are malformed
    names: str  # of the credentials
    challenge: str  # the value of WWW-Authenticate for a request without credentials …
    invalid: str  # … and for one with wrong credentials
    security: Mapping[str, Mapping[str, str]]
    field: str = "Authorization"  # that has them; "" if they are in the query


class Auth:
    """The around hook that `basic`, `bearer` and `api_key` make."""

    def __init__(self, check: Check, scheme: Scheme, required: bool) -> None:
        self.__qualname__ = scheme.name  # for `kissapi routes`
        self.security = scheme.security
        self.required = required
        self._scheme = scheme
        self._takes_request = self._blocks = False
        if isinstance(check, Mapping):
            self._check: Callable[..., Any] = _finder(check)
        else:
            self._check = check
            self._takes_request = _takes_request(check, scheme.names)
            self._blocks = is_plain(check)

    async def __call__(self, req: Request) -> AsyncGenerator[None, Any]:
        given = self._scheme.read(req)
        if given is not None:
            req.user = await self._user(req, given)
        elif self.required:
            raise _refusal(self._scheme.challenge)
        else:
            req.__dict__.setdefault("user", None)  # an optional hook outside of this one may have set it
        response = yield
        _keep(response, self._scheme)

    async def _user(self, req: Request, given: tuple[str, ...]) -> Any:
        user = None
        if given:
            arguments: tuple[Any, ...] = (req, *given) if self._takes_request else given
            if self._blocks:
                user = await in_thread_of(req, self._check, *arguments)
            else:
                user = self._check(*arguments)
            if hasattr(user, "__await__"):
                user = await user
        if user is None or user is False:
            raise _refusal(self._scheme.invalid)
        return given[0] if user is True and len(given) > 1 else user


class AnyOf:
    """The around hook that `any_of` makes."""

    required = True

    def __init__(self, ways: tuple[Auth, ...]) -> None:
        self.security = {name: scheme for way in ways for name, scheme in way.security.items()}
        self._ways = ways
        self._challenges = ", ".join(way._scheme.challenge for way in ways)  # RFC 9110 §11.6.1

    async def __call__(self, req: Request) -> AsyncGenerator[None, Any]:
        for way in self._ways:
            given = way._scheme.read(req)
            if given is not None:
                req.user = await way._user(req, given)
                break
        else:
            raise _refusal(self._challenges)
        response = yield
        _keep(response, *(way._scheme for way in self._ways))


def basic(check: Check, *, realm: str = "api", required: bool = True) -> Auth:
    """Ask for a name and a password (RFC 7617): a browser shows its own form. For HTTPS alone.

    `check(name, password)` gives the user, True for the name itself, None or False for 401; with one
    parameter more it gets the request first. A plain `def` may block, as hashing a password does: it runs in
    the thread of the request, an `async def` on the loop. A mapping is of names to passwords, and is read
    once. With `required=False` a request without credentials goes on, and `req.user` is None; wrong ones are
    refused all the same. Raises `TypeError` for a check of another form, `ValueError` for an empty password
    and for a realm that no field can hold.

        router.around(basic({"ann": os.environ["PASSWORD"]}))
    """
    if isinstance(check, Mapping):
        check = {f"{name}:{_secret(password)}": name for name, password in check.items()}
    challenge = f'Basic realm="{_quotable(realm)}", charset="UTF-8"'
    security = {"basic": {"type": "http", "scheme": "basic"}}
    return Auth(
        check, Scheme("basic", _read_basic, "name, password", challenge, challenge, security), required
    )


def bearer(check: Check, *, realm: str = "api", required: bool = True) -> Auth:
    """Ask for a token in `Authorization: Bearer …` (RFC 6750): for APIs, and for what OAuth 2 gives.

    `check(token)` gives the user; the rest is as for `basic`. A mapping is of tokens to users. Raises what
    `basic` raises.

        router.around(bearer({os.environ["TOKEN"]: "ci"}))
    """
    challenge = f'Bearer realm="{_quotable(realm)}"'
    invalid = f'{challenge}, error="invalid_token"'
    security = {"bearer": {"type": "http", "scheme": "bearer"}}
    return Auth(check, Scheme("bearer", _read_bearer, "token", challenge, invalid, security), required)


def api_key(
    check: Check,
    *,
    header: str | None = None,
    query: str | None = None,
    cookie: str | None = None,
    realm: str = "api",
    required: bool = True,
) -> Auth:
    """Ask for a key in the field `header` (x-api-key), or in a parameter of the `query`, or in a `cookie`.

    `check(key)` gives the user; the rest is as for `basic`. A mapping is of keys to users. A key in a query
    ends up in histories of browsers and logs of proxies: prefer the header. Raises what `basic` raises, and
    `ValueError` for more than one place.

        router.around(api_key(find_customer, header="x-api-key"))
    """
    names = {"headers": header, "query": query, "cookies": cookie}
    places = {place: name for place, name in names.items() if name is not None} or {"headers": "x-api-key"}
    if len(places) > 1:
        raise ValueError('a key has one place: header="x-api-key", query="key" or cookie="key"')
    ((place, name),) = places.items()
    if not name or (place != "query" and not is_token(name)):
        raise ValueError(f"{name!r} is no name that {place} can have")

    def read(req: Request) -> tuple[str, ...] | None:
        key = getattr(req, place).get(name)
        return (key,) if key else None

    challenge = f'ApiKey realm="{_quotable(realm)}"'
    where = {"headers": "header", "cookies": "cookie"}.get(place, place)
    security = {_UNSAFE.sub("_", name): {"type": "apiKey", "in": where, "name": name}}
    field = {"headers": name, "cookies": "Cookie"}.get(place, "")
    return Auth(check, Scheme("api_key", read, "key", challenge, challenge, security, field), required)


def any_of(*ways: Auth) -> AnyOf:
    """Ask for one of several kinds of credentials: people send a token, programs a key.

    Of those that a request has, the first of `ways` decides; a request without any gets 401 with all
    challenges. Raises `TypeError` for anything but what `basic`, `bearer` and `api_key` make.

        router.around(any_of(bearer(find_person), api_key(find_program)))
    """
    for way in ways:
        if not isinstance(way, Auth):
            raise TypeError(f"any_of takes what basic(…), bearer(…) and api_key(…) make, not {way!r}")
    if not ways:
        raise TypeError("any_of takes the ways there are: any_of(bearer(…), api_key(…))")
    return AnyOf(ways)


def _read_basic(req: Request) -> tuple[str, ...] | None:
    scheme, _, encoded = req.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = binascii.a2b_base64(encoded.strip(" ").encode("ascii"), strict_mode=True).decode()
    except ValueError:  # no ASCII, no base64, no UTF-8
        return ()
    name, colon, password = pair.partition(":")
    return () if not colon or _CONTROL.search(pair) else (name, password)


def _read_bearer(req: Request) -> tuple[str, ...] | None:
    scheme, _, token = req.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip(" ")
    return (token,) if _TOKEN68.fullmatch(token) else ()


def _keep(response: Response, *schemes: Scheme) -> None:
    """The answer is for one user: caches know that of Authorization alone (RFC 9111 §3.5), and of no key."""
    add_vary(response, *(scheme.field for scheme in schemes if scheme.field))
    keep_private(response)


def _refusal(challenge: str) -> Fail:
    return Fail(401, headers={"WWW-Authenticate": challenge})  # RFC 9110 §15.5.2 wants the field


def _finder(users: Mapping[str, Any]) -> Callable[..., Any]:
    """A check that finds users by their secrets.

    It looks for digests: how long that takes tells nothing of how much of a guess is right.
    """
    known = {_digest(_secret(secret)): user for secret, user in users.items()}
    return lambda *given: known.get(_digest(":".join(given)))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _secret(secret: Any) -> str:
    """`secret`, which is text; an empty one comes of a setting that was forgotten."""
    if not isinstance(secret, str):
        raise TypeError(f"passwords, tokens and keys are strings, not {secret!r}")
    if not secret:
        raise ValueError("a password, token or key is empty: is a setting missing?")
    return secret


def _takes_request(check: Any, names: str) -> bool:
    """Whether `check` takes the request before the credentials. Raises `TypeError` if it takes neither."""
    if not callable(check):
        raise TypeError(f"check is a function of ({names}), or a mapping, not {check!r}")
    signature = signature_of(check)
    count = names.count(",") + 1
    if signature is None or signature.takes(count):
        return False
    if not signature.takes(count + 1):
        raise TypeError(f"the check {place_of(check)} takes ({names}), or (request, {names})")
    return True


def _quotable(realm: str) -> str:
    if not _QUOTABLE.fullmatch(realm):
        raise ValueError(f"a realm is printable ASCII without quotes and backslashes, not {realm!r}")
    return realm

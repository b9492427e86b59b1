"""Sessions: `req.session`, a dict that comes back with the next request of a browser. It needs itsdangerous.

    router.around(sessions(os.environ["SECRET"]))

    @router.post("/login")
    async def login(req: Request) -> Response:
        req.session["user"] = req.form["user"]
        req.session.flash("Welcome back!")
        return redirect("/", 303)

It is kept in a cookie, signed and not encrypted: a client can read it, and cannot change it. With `store` the
cookie has an id alone, and the session is kept there. What was changed, at any depth, is seen by comparing
what it is serialised to. A request that does not look at `req.session` pays for none of it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

try:
    from itsdangerous import TimestampSigner, URLSafeSerializer
    from itsdangerous.encoding import base64_decode, bytes_to_int
except ImportError as error:
    raise ImportError("sessions need itsdangerous: pip install 'kissapi[sessions]'") from error

from kissapi.extras.site_cookie import SiteCookie
from kissapi.http.caching import add_vary, keep_private
from kissapi.http.extra import offer
from kissapi.http.limits import check_number

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.http.response import Response

__all__ = ["Flash", "Session", "Store", "sessions"]

SHORTEST = 16  # bytes of a secret
LONGEST = 4096  # bytes of name and value of a cookie that browsers keep (RFC 6265bis §5.6)
TWO_WEEKS = 14 * 24 * 3600

_FLASHES = "_flashes"


class Flash(NamedTuple):
    """A message for the next page: `Flash("Saved", "info")`."""

    message: str
    category: str


class Session(dict[str, Any]):
    """The session of one browser: a dict of what JSON has, with string keys.

    A name that is missing is a plain KeyError: `req.session.get("user")`. An empty session has no cookie.
    """

    __slots__ = ("_renewed",)

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)
        self._renewed = False

    def flash(self, message: str, category: str = "info") -> None:
        """Leave a message for the next page that reads `flashes()`: `req.session.flash("Saved")`."""
        self.setdefault(_FLASHES, []).append([message, category])

    def flashes(self) -> list[Flash]:
        """The messages since the last call, the oldest first: each is read once.

        for message, category in req.session.flashes():
            page += f'<p class="{category}">{escape(message)}</p>'
        """
        return [Flash(*each) for each in self.pop(_FLASHES, ())]

    def clear(self) -> None:
        """Forget everything: the user has logged out."""
        super().clear()
        self.renew()

    def renew(self) -> None:
        """Take a new id in the `store`: call it at a login, against session fixation.

        Without a store there is no id, and nothing to fix: the whole session is in the cookie.
        """
        self._renewed = True


class Store(Protocol):
    """Where sessions are kept if not in cookies; `redis.asyncio.Redis` is one as it is.

    `key` is "session:" and 43 random characters, `text` is JSON. `get` gives None for an unknown `key`.
    With `xx` so does `set`, which then keeps nothing.
    """

    def get(self, key: str, /) -> Awaitable[str | bytes | None]: ...
    def set(self, key: str, text: str, seconds: int, /, *, xx: bool) -> Awaitable[Any]: ...
    def delete(self, key: str, /) -> Awaitable[Any]: ...


def sessions(
    secret: str | bytes | Sequence[str | bytes],
    *,
    cookie: str = "session",
    max_age: int = TWO_WEEKS,
    keep: bool = True,
    path: str = "/",
    domain: str | None = None,
    same_site: str = "Lax",
    secure: bool | None = None,
    partitioned: bool = False,
    store: Store | Callable[[Request], Store] | None = None,
) -> Callable[[Request], AsyncGenerator[None, Response]]:
    """An around hook that gives requests a `session`, see `Session`.

    `secret` has at least 16 random bytes. Of a list the first signs and all are accepted: put a new one in
    front, and take the old one out after `max_age` seconds, which is how long a session lives unused; one in
    use is signed anew when half of that has passed. With `keep=False` browsers drop it when they close.

    The cookie is `HttpOnly` and `SameSite=Lax`; over https also `Secure`, and called `__Host-session`, see
    `SiteCookie`. With `secure=True` that is so over http, too. `path`, `domain`, `same_site`, `partitioned`
    are as for `Response.set_cookie`. `store`, or a function from the request to it, keeps sessions on the
    server, see `Store`.

    A cookie that is forged, damaged or too old is an empty session. An answer with a status from 500 on
    leaves the session as it was. Raises `ValueError` for a short secret and for settings that no browser
    takes. While it answers, a session that cannot be kept is a `TypeError` or `ValueError` that says why.

        router.around(sessions([NEW, OLD], max_age=3600, store=lambda req: req.app.redis))
    """
    check_number("max_age", max_age, 1)
    keeper = _Keeper(
        secret,
        SiteCookie(
            cookie,
            max_age=max_age if keep else None,
            path=path,
            domain=domain,
            same_site=same_site,
            secure=secure,
            partitioned=partitioned,
        ),
        cookie,
        max_age,
        in_store=store is not None,
    )

    async def session(request: Request) -> AsyncGenerator[None, Response]:
        place = store(request) if callable(store) else store
        found = None if place is None else await keeper.fetch(request, place)
        made: Session | None = None

        def make(request: Request) -> Session:
            nonlocal found, made
            if found is None:
                found = keeper.open(request)
            made = Session(found.content)
            return made

        offer(request, "session", make)
        response = yield
        if made is None or found is None:
            return  # nothing has looked at it
        if not isinstance(request.session, Session):
            raise TypeError("req.session is not to be replaced: req.session.clear(), req.session.update(…)")
        add_vary(response, "Cookie")
        keep_private(response)
        if response.status < 500:
            await keeper.save(request, response, found, made, place)

    session.__qualname__ = "sessions"  # for `kissapi routes`
    return session


class _Found(NamedTuple):
    """What a request has brought: a session, its text as kept, its age in seconds, its key in a store."""

    content: dict[str, Any]
    text: str = ""
    age: float = 0
    key: str = ""


class _Keeper:
    """Reads and writes sessions: signed in a cookie, or in a store, with a signed id in the cookie."""

    def __init__(self, secret: Any, cookie: SiteCookie, name: str, max_age: int, *, in_store: bool) -> None:
        self.cookie = cookie
        self.name = name
        self.max_age = max_age
        self.cookies = URLSafeSerializer("")  # of JSON in base64, compressed if that is shorter
        self.json = self.cookies.serializer  # compact JSON
        self.signer = TimestampSigner(
            _checked_secrets(secret)[::-1],  # itsdangerous takes the newest last
            # One secret may sign several cookies, and an id is no session.
            salt=f"kissapi.sessions {name}{' id' if in_store else ''}",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def _unsigned(self, request: Request) -> tuple[str, float]:
        """What its cookie says, and its age in seconds; "" if it is not to be believed."""
        signed, _, signature = self.cookie.read(request).rpartition(".")
        text, _, stamp = signed.rpartition(".")
        # Not `unsign`: its errors are reference cycles, and it refuses what another machine, its clock a
        # second ahead, has signed.
        if not text or not self.signer.verify_signature(signed, signature):
            return "", 0
        age = time.time() - bytes_to_int(base64_decode(stamp))
        return (text, age) if age <= self.max_age else ("", 0)

    def open(self, request: Request) -> _Found:
        """The session in the cookie."""
        text, age = self._unsigned(request)
        content = self.cookies.load_payload(text.encode()) if text else {}
        return _Found(content, self.json.dumps(content), age)

    async def fetch(self, request: Request, store: Store) -> _Found:
        """The session in `store`."""
        key, age = self._unsigned(request)
        kept = await store.get(key) if key else None
        try:
            text = kept.decode() if isinstance(kept, bytes) else kept or ""
            content = self.json.loads(text) if text else None
        except ValueError:
            content = None
        # What no session is, another program has written.
        return _Found(content, text, age, key) if isinstance(content, dict) else _Found({})

    async def save(
        self, request: Request, response: Response, found: _Found, session: Session, store: Store | None
    ) -> None:
        """Keep `session`, if it is another one than was `found`, or that one is half through its life."""
        if session:
            try:
                text = self.json.dumps(session)
                unfit = text != found.text and self.json.loads(text) != session
            except (TypeError, ValueError, RecursionError):
                unfit = True
            if unfit:
                raise TypeError(self._unfit(session))
            renewed = store is not None and session._renewed
            if text == found.text and not renewed and found.age < self.max_age / 2:
                return
            if store is None:
                signed = self.cookies.dump_payload(session).decode()
            else:
                if found.key and renewed:
                    await store.delete(found.key)
                signed = (old := "" if renewed else found.key) or f"{self.name}:{token_urlsafe(32)}"
                if not await store.set(signed, text, self.max_age, xx=bool(old)) and old:
                    return  # another request has logged out, or renewed it, while this one was at work
            value = self.signer.sign(signed).decode()
            if (size := len(self.cookie.name(request)) + len(value)) > LONGEST:
                raise ValueError(
                    f"the session takes {size} bytes in its cookie, and browsers keep {LONGEST} at most: "
                    "keep less in it, such as an id in place of a record, or sessions(…, store=…)"
                )
        else:
            if store is not None and found.key:
                await store.delete(found.key)
            if not self.cookie.read(request):
                return
            value = ""  # logged out; or what came was forged, damaged or too old
        self.cookie.set(request, response, value)
        keep_private(response, sets_cookie=True)

    def _unfit(self, content: dict[str, Any]) -> str:
        """What of `content` does not come back as it is; "" for nothing."""
        for name, value in content.items():
            try:
                text = self.json.dumps({name: value})
                back = self.json.loads(text)
            except (TypeError, ValueError, RecursionError) as error:
                return f"req.session[{name!r}] cannot be kept as JSON: {error}"
            if back != {name: value}:
                ((back_name, back_value),) = back.items()
                return (
                    f"req.session[{name!r}] = {value!r} would come back as "
                    f"req.session[{back_name!r}] = {back_value!r}: use lists for tuples, strings for keys"
                )
        return ""


def _checked_secrets(secret: Any) -> list[bytes]:
    secrets = [secret] if isinstance(secret, (str, bytes)) else secret
    if not isinstance(secrets, (list, tuple)) or not secrets:
        raise ValueError(f"a secret is a str or bytes, or a list of them, the newest first, not {secret!r}")
    for each in secrets:
        if not isinstance(each, (str, bytes)):
            raise ValueError(f"a secret is a str or bytes, not {each!r}")
        if len(each) < SHORTEST:
            raise ValueError(
                f"a secret has at least {SHORTEST} random bytes; "
                "make one: python -c 'import secrets; print(secrets.token_hex())'"
            )
    return [each if isinstance(each, bytes) else each.encode() for each in secrets]

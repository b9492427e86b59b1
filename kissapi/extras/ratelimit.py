"""Rate limit: an around hook that answers 429 to a client that asks too often.

    from kissapi.extras.ratelimit import ratelimit

    router.around(ratelimit("100/minute", "1000/hour"))

    @router.post("/login", around=[ratelimit("5/minute")])

100 a minute are 100 in any minute, not in one of the clock: the window moves. In memory each event loop
counts for itself, so workers and loops multiply the limit. In a shared storage, by the library `limits`, they
count together. If that does not answer, nothing is limited: better no limit than no service.
"""

from __future__ import annotations

import hashlib
import re
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import lru_cache, partial
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from kissapi.backends.awaitables import running_loop, to_thread
from kissapi.backends.timeout import timeout
from kissapi.core import Fail

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.http.response import Response

__all__ = ["client_key", "ratelimit"]

PATIENCE = 1.0  # seconds that a request waits for a shared storage …
PAUSE = 5.0  # … which is then not asked for so long: else each request would wait while it is down

MOST = 100_000  # clients that are remembered in memory for each limit, in about 300 bytes each

_FIT = re.compile(r"[!-~]{1,64}")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_LIMIT = re.compile(rf"([1-9][0-9]*) *(?:/|per) *([1-9][0-9]*)? *({'|'.join(_UNITS)})s?")


class Limit(NamedTuple):
    """At most `amount` requests in any `seconds`; `text` is how it was written."""

    text: str
    amount: int
    seconds: int

    @classmethod
    def of(cls, text: str) -> Limit:
        """What `text` says. Raises `ValueError` for anything that is no limit.

        >>> Limit.of("5 per 10 minutes")
        Limit(text='5 per 10 minutes', amount=5, seconds=600)
        """
        found = _LIMIT.fullmatch(text.strip().lower()) if isinstance(text, str) else None
        if found is None:
            raise ValueError(
                f'{text!r} is no limit: write "100/minute" or "5 per 10 minutes"; second, minute, hour, day'
            )
        return cls(text.strip().lower(), int(found[1]), int(found[2] or 1) * _UNITS[found[3]])


class State(NamedTuple):
    """A limit, as one client stands to it."""

    limit: Limit
    allowed: bool
    left: int  # requests that it may make now
    wait: float  # seconds until it may make one more than that


class Counters(Protocol):
    """Where the requests of one event loop are counted."""

    async def hit(self, key: str, now: float) -> list[State]:
        """Count a request of the client `key` at `now`; where a limit refuses it, that is the last state."""


def ratelimit(
    *limits: str,
    key: Callable[[Request], Any] | None = None,
    storage: str = "memory://",
    name: str = "",
    options: Mapping[str, Any] | None = None,
) -> Callable[[Request], AsyncGenerator[None, Response]]:
    """Allow each client `limits`, such as "100/minute" or "5 per 10 seconds"; answer 429 beyond.

    `key(request)`, sync or async, names the client; None is a client without limits. Without `key` the name
    is the address, as trusted proxies tell it; of IPv6 the network (/64). `storage` is the URL of one that
    several processes share: "redis://…" is asked in a worker thread, "async+redis://…" on asyncio's loop;
    `options` are those of its client. Hooks with one `name` count together there. Answers have the fields
    RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10), a 429 Retry-After as well.
    Raises `ValueError` for what is no limit, `ImportError` if the library is missing, and what that raises
    for the URL.

        router.around(ratelimit("1000/hour", key=lambda req: req.user.id, storage="redis://cache:6379"))
    """
    rules = [Limit.of(text) for text in limits]
    if not rules:
        raise ValueError('a rate limit has limits: ratelimit("100/minute")')
    make: Callable[[], Counters] = partial(Memory, rules)
    if storage != "memory://":
        make = _shared(rules, storage, name, dict(options or {}))
    # Each loop has its own: what is asynchronous belongs to one, and the clients of tests share nothing.
    counters: WeakKeyDictionary[Any, Counters] = WeakKeyDictionary()
    policy = ", ".join(f'"{rule.text}";q={rule.amount};w={rule.seconds}' for rule in rules)
    key_of = client_key if key is None else key
    asked_again = 0.0  # when a storage that does not answer is asked again

    async def hook(req: Request) -> AsyncGenerator[None, Response]:
        nonlocal asked_again
        client = key_of(req)
        if hasattr(client, "__await__"):
            client = await client
        loop = running_loop()
        now = loop.time()
        states: list[State] = []
        if client is not None and now >= asked_again:
            counter = counters.get(loop)
            if counter is None:
                counter = counters[loop] = make()
            try:
                states = await counter.hit(_fitting(str(client)), now)
            except Exception as error:
                asked_again = now + PAUSE
                if req._connection is not None:
                    req._connection.service.log.warning(
                        f"ratelimit: the storage fails, so nothing is limited for {PAUSE:g} s: {error!r}"
                    )
        if not states:
            yield
            return
        state = ", ".join(f'"{rule.text}";r={left};t={ceil(wait)}' for rule, _, left, wait in states)
        rule, allowed, _, wait = states[-1]
        if not allowed:
            seconds = max(1, ceil(wait))
            text = f"Too Many Requests: the limit is {rule.text}; try again in {seconds} s"
            fields = {"ratelimit-policy": policy, "ratelimit": state, "retry-after": str(seconds)}
            raise Fail(429, text, fields)
        response = yield
        # Added: that of a route stands beside that of its router.
        response.headers.add("ratelimit-policy", policy)
        response.headers.add("ratelimit", state)

    hook.__qualname__ = "ratelimit"
    hook.responses = {429: "Too many requests."}  # type: ignore[attr-defined]  # for OpenAPI
    return hook


def client_key(request: Request) -> str:
    """The address of the client; of IPv6 its /64, for one client has all of that.

    Clients without one (a Unix socket without a trusted proxy, a proxy that names none) count as one.

        ratelimit("9/minute", key=lambda req: req.headers.get("x-tenant") or client_key(req))
    """
    client = request.client
    return "unknown" if client is None else _network_of(client[0])


def _fitting(key: str) -> str:
    """`key`, or its digest: what a client sends may be long, or refused by a storage, which then fails."""
    if _FIT.fullmatch(key):
        return key
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@lru_cache(4096)
def _network_of(host: str) -> str:
    if ":" not in host:
        return host
    from ipaddress import IPv6Address  # costs 4 ms

    address = IPv6Address(host)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


class Memory:
    """Counters in memory, by the clock of the loop: exact, and without a timer.

    A limit has, for each client, the times of its last requests that were allowed, at most `amount`. Clients
    stand in the order of their last one, so those out of the window are at the front: each request drops up
    to two of them. Beyond `MOST` the first is forgotten: a client that has so many addresses, or chooses its
    key, fills no memory. The storage in memory of `limits` starts a thread for a request, and has its own
    clock.
    """

    def __init__(self, limits: list[Limit]) -> None:
        self._limits = [(limit, OrderedDict[str, list[float]]()) for limit in limits]

    async def hit(self, key: str, now: float) -> list[State]:
        states: list[State] = []
        for limit, clients in self._limits:
            start = now - limit.seconds
            times = clients.setdefault(key, [])
            del times[: bisect_right(times, start)]
            allowed = len(times) < limit.amount
            if allowed:
                times.append(now)
                clients.move_to_end(key)
            for _ in range(2):
                oldest = next(iter(clients))
                if clients[oldest][-1] > start and len(clients) <= MOST:
                    break
                del clients[oldest]
            states.append(State(limit, allowed, limit.amount - len(times), times[0] - start))
            if not allowed:
                break
        return states


class Shared:
    """Counters in a storage of the library `limits`, which counts by its own clock."""

    def __init__(self, items: list[tuple[Limit, Any]], name: str, limiter: Any) -> None:
        self._items = items
        self._name = name
        self._limiter = limiter

    async def hit(self, key: str, now: float) -> list[State]:
        async with timeout(PATIENCE):
            return await to_thread(self._hit, key)

    def _hit(self, key: str) -> list[State]:
        states: list[State] = []
        for limit, item in self._items:
            allowed = self._limiter.hit(item, self._name, key)
            states.append(_state(limit, allowed, self._limiter.get_window_stats(item, self._name, key)))
            if not allowed:
                break
        return states


class SharedOnLoop(Shared):
    """The same with a storage that is asynchronous."""

    async def hit(self, key: str, now: float) -> list[State]:
        states: list[State] = []
        async with timeout(PATIENCE):
            for limit, item in self._items:
                allowed = await self._limiter.hit(item, self._name, key)
                window = await self._limiter.get_window_stats(item, self._name, key)
                states.append(_state(limit, allowed, window))
                if not allowed:
                    break
        return states


def _shared(limits: list[Limit], url: str, name: str, options: dict[str, Any]) -> Callable[[], Counters]:
    """What makes the counters of a loop in the storage at `url`."""
    try:
        from limits import RateLimitItemPerSecond
        from limits.aio import strategies as on_loop
        from limits.storage import storage_from_string
        from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
    except ImportError:
        raise ImportError(
            f"to count requests at {url} takes a package: pip install 'kissapi[ratelimit]'", name="limits"
        ) from None
    if re.match(r"(redis|valkey)s?(\+\w+)?:", url):  # by themselves they wait for ever
        options = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, **options}
    if url.startswith("async+redis"):
        options = {"implementation": "redispy", **options}  # what `kissapi[redis]` brings
    items = [(limit, RateLimitItemPerSecond(limit.amount, limit.seconds)) for limit in limits]

    def make() -> Counters:
        storage: Any = storage_from_string(url, **options)
        exact = hasattr(storage, "acquire_entry")  # Memcached has not
        if url.startswith("async+"):
            kind = on_loop.MovingWindowRateLimiter if exact else on_loop.SlidingWindowCounterRateLimiter
            return SharedOnLoop(items, name, kind(storage))
        limiter = MovingWindowRateLimiter if exact else SlidingWindowCounterRateLimiter
        return Shared(items, name, limiter(storage))

    make()  # now, so that a wrong URL is an error here
    return make


def _state(limit: Limit, allowed: bool, window: Any) -> State:
    return State(limit, allowed, window.remaining, max(0.0, window.reset_time - time.time()))

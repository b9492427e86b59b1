"""CookieJar: the cookies of a client, by the rules of browsers (RFC 6265 §5, and its revision, 6265bis).

A cookie is identified by domain, path and name. One that a browser would refuse is not kept, and a look-up
says why.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import NamedTuple

from kissapi.http.dates import read_date

LONGEST = 400 * 24 * 3600  # seconds that browsers keep a cookie, at most (6265bis §5.5)
LARGEST = 4096  # bytes of name and value that browsers take (6265bis §5.6)

_ADDRESS = re.compile(r"[0-9.]+|\[.*\]")
_NUMBER = re.compile(r"-?[0-9]+")


class Cookie(NamedTuple):
    """A cookie that is kept."""

    domain: str  # "" for every host: set by the test itself
    path: str
    name: str
    value: str
    ends: float
    below: bool  # sent to the hosts below `domain` as well

    def matches(self, host: str, path: str) -> bool:
        """Whether it is sent with a request for `path` of `host` (§5.1.3, §5.1.4)."""
        if self.domain and self.domain != host and not (self.below and _is_below(host, self.domain)):
            return False
        folder = self.path if self.path.endswith("/") else self.path + "/"
        return path == self.path or path.startswith(folder)


class CookieJar(MutableMapping[str, str]):
    """Cookies by name; of several with one name, the one with the longest path.

    A cookie that a test sets is sent to every host and path. `now` gives the time, `secure` says whether the
    client asks over https.

        client.cookies["session"] = "abc"
    """

    def __init__(self, now: Callable[[], float], *, secure: bool = False) -> None:
        self._now = now
        self._secure = secure
        self._cookies: dict[tuple[str, str, str], Cookie] = {}
        self._refused: dict[str, str] = {}  # the name of a cookie, and why it was refused

    def __getitem__(self, name: str) -> str:
        for cookie in self._live():
            if cookie.name == name:
                return cookie.value
        if name in self._refused:
            raise KeyError(f"the cookie {name} was refused: {self._refused[name]}")
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        if ";" in f"{name}{value}" or "=" in name:
            raise ValueError(f"one cookie, not several: neither may contain a semicolon: {name!r}, {value!r}")
        self._keep(Cookie("", "/", name, value, float("inf"), below=False))

    def __delitem__(self, name: str) -> None:
        self[name]  # or KeyError
        for key in [key for key in self._cookies if key[2] == name]:
            del self._cookies[key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(cookie.name for cookie in self._live()))

    def __len__(self) -> int:
        return len(set(self))

    def __repr__(self) -> str:
        return f"CookieJar({dict(self)!r})"

    def header(self, host: str, path: str) -> str:
        """The Cookie field of a request for `path` of `host`, or ""; longer paths first (§5.4)."""
        return "; ".join(f"{each.name}={each.value}" for each in self._live() if each.matches(host, path))

    def store(self, field: str, host: str, path: str) -> None:
        """Keep the cookie of a Set-Cookie field, in the answer to a request for `path` of `host` (§5.3)."""
        pair, *attributes = field.split(";")
        name, _, value = (part.strip() for part in pair.partition("="))
        said = {key.strip().lower(): text.strip() for key, _, text in (a.partition("=") for a in attributes)}
        domain = said.get("domain", "").removeprefix(".").lower()
        reason = self._why_not(name, value, said, domain, host)
        if reason:
            self._refused[name] = reason
            return
        at = said.get("path", "")
        if not at.startswith("/"):
            at = path.rpartition("/")[0] or "/"
        self._refused.pop(name, None)
        # No host is below an address, nor below a name that could be a whole top-level domain.
        below = "." in domain and not _ADDRESS.fullmatch(host)
        self._keep(Cookie(domain or host, at, name, value, self._end_of(said), below))

    def _why_not(self, name: str, value: str, said: dict[str, str], domain: str, host: str) -> str:
        """Why a browser refuses the cookie; "" if it does not."""
        secure = "secure" in said
        lower = name.lower()
        if not name:
            return "it has no name"
        if len(name.encode()) + len(value.encode()) > LARGEST:
            return f"name and value are longer than {LARGEST} bytes"
        if secure and not self._secure:
            return 'it is Secure, and this client asks over http: Client(app, scheme="https")'
        if domain and domain != host and not ("." in domain and _is_below(host, domain)):
            return f"its Domain is {domain}, and it came from {host}"
        if lower.startswith(("__secure-", "__host-")) and not secure:
            return "a name that begins with __Secure- or __Host- needs Secure"
        if lower.startswith("__host-") and ("domain" in said or said.get("path") != "/"):
            return "a name that begins with __Host- needs Path=/ and no Domain"
        if said.get("samesite", "").lower() == "none" and not secure:
            return "SameSite=None needs Secure"
        return ""

    def _end_of(self, said: dict[str, str]) -> float:
        """When the cookie ends, by `now`; Max-Age has precedence over Expires."""
        left = float("inf")
        expires = said.get("expires", "")
        # PHP and old Werkzeug write the usual form with hyphens.
        date = read_date(expires) or read_date(expires.replace("-", " "))
        if date is not None:
            # The handler has computed the date from the wall clock: what counts is the distance from that.
            left = min(date - time.time(), LONGEST)
        if _NUMBER.fullmatch(said.get("max-age", "")):
            left = min(float(said["max-age"]), LONGEST)
        return self._now() + left

    def _keep(self, cookie: Cookie) -> None:
        if cookie.domain:
            self._cookies.pop(("", cookie.path, cookie.name), None)  # it replaces one that the test has set
        self._cookies[cookie.domain, cookie.path, cookie.name] = cookie

    def _live(self) -> list[Cookie]:
        """The cookies that have not ended; longer paths first, then older ones."""
        now = self._now()
        live = [cookie for cookie in self._cookies.values() if cookie.ends > now]
        return sorted(live, key=lambda cookie: -len(cookie.path))


def _is_below(host: str, domain: str) -> bool:
    return host.endswith(f".{domain}") and not _ADDRESS.fullmatch(host)

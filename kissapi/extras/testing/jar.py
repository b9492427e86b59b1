"""Jar: the cookies that a client keeps (RFC 6265 §5), of one server.

Law: a name on a path is one cookie; what has run out by the clock of the test is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import NamedTuple


class Cookie(NamedTuple):
    """What a client knows of one."""

    value: str
    path: str
    ends: float


class Jar(MutableMapping[str, str]):
    """Cookies by name; of two with one name that on the longer path counts.

    client.cookies["session"] = "abc"
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._cookies: dict[tuple[str, str], Cookie] = {}

    def __getitem__(self, name: str) -> str:
        return self.for_path("")[name]

    def __setitem__(self, name: str, value: str) -> None:
        self._cookies["/", name] = Cookie(value, "/", float("inf"))

    def __delitem__(self, name: str) -> None:
        for key in [key for key in self._cookies if key[1] == name]:
            del self._cookies[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.for_path(""))

    def __len__(self) -> int:
        return len(self.for_path(""))

    def __repr__(self) -> str:
        return f"Jar({dict(self)!r})"

    def for_path(self, path: str) -> dict[str, str]:
        """Those that a request for `path` takes along; with `""`, all there are."""
        now, found = self._time(), {}
        for (at, name), cookie in sorted(self._cookies.items()):
            if cookie.ends > now and (not path or _covers(at, path)):
                found[name] = cookie.value
        return found

    def take(self, field: str, path: str) -> None:
        """Keep what a Set-Cookie field says that answers a request for `path`; Expires is not looked at."""
        pair, *attributes = [part.strip() for part in field.split(";")]
        name, _, value = pair.partition("=")
        said = {key.strip().lower(): text.strip() for key, _, text in (a.partition("=") for a in attributes)}
        at = said.get("path", "")
        if not at.startswith("/"):
            at = path.rpartition("/")[0] or "/"  # the default (RFC 6265 §5.1.4)
        ends = float("inf")
        if said.get("max-age", "").lstrip("-").isdigit():
            ends = self._time() + int(said["max-age"])
        self._cookies[at, name] = Cookie(value, at, ends)


def _covers(at: str, path: str) -> bool:
    """Whether a cookie of path `at` goes along with a request for `path` (RFC 6265 §5.1.4)."""
    return path == at or path.startswith(at if at.endswith("/") else at + "/")

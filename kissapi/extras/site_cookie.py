"""SiteCookie: a cookie that scripts cannot read, as safe as the scheme of the request allows.

Over https it is `Secure`, and its name begins with `__Host-`: browsers then take it from this host alone,
over https alone, so that neither another subdomain nor a network in between can plant one. A cookie with a
path or a domain of its own begins with `__Secure-`. Over http, as on localhost, neither works in all
browsers, so there the name stands alone. `kissapi.extras.sessions` and `csrf` keep theirs in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kissapi.http.response import Response

if TYPE_CHECKING:
    from kissapi.http.request import Request

__all__ = ["SiteCookie"]


class SiteCookie:
    """A cookie called `name`; the rest is as for `Response.set_cookie`.

    With `secure=None` the scheme of the request decides, as trusted proxies tell it. Raises `ValueError` and
    `TypeError` as `Response.set_cookie` does, for settings that no browser takes.
    """

    def __init__(
        self,
        name: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        domain: str | None = None,
        same_site: str = "Lax",
        secure: bool | None = None,
        partitioned: bool = False,
    ) -> None:
        if not isinstance(name, str) or name.lower().startswith(("__host-", "__secure-")):
            raise ValueError(f"the name of a cookie gets its prefix by itself over https: not {name!r}")
        if secure is not None and not isinstance(secure, bool):
            raise ValueError(f"secure is True, False, or None for the scheme of the request, not {secure!r}")
        self._name = name
        self._secure = secure
        self._max_age = max_age
        self._path, self._domain = path, domain
        self._same_site, self._partitioned = same_site, partitioned
        self._prefix = "__Host-" if path == "/" and domain is None else "__Secure-"
        self._put(Response(), bool(secure), "")  # raises now what would be raised for each answer

    def _is_secure(self, request: Request) -> bool:
        return request.scheme == "https" if self._secure is None else self._secure

    def name(self, request: Request) -> str:
        """Its name in this request and in the answer to it."""
        return self._prefix + self._name if self._is_secure(request) else self._name

    def read(self, request: Request) -> str:
        """Its value, "" without one. Over https one without the prefix does not count: anyone may set it."""
        return request.cookies.get(self.name(request), "")

    def set(self, request: Request, response: Response, value: str) -> None:
        """Set it to `value`, which has only characters that fit in a cookie; "" deletes it."""
        self._put(response, self._is_secure(request), value)

    def _put(self, response: Response, secure: bool, value: str) -> None:
        response.set_cookie(
            self._prefix + self._name if secure else self._name,
            value,
            max_age=self._max_age if value else 0,
            path=self._path,
            domain=self._domain,
            secure=secure,
            same_site=self._same_site,
            partitioned=self._partitioned,
        )

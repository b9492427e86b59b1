"""URLs: where a request came to, as a whole URL, and the paths of other routes.

`Request` is made of it. Scheme and host are those that the client has used, also behind a proxy that is
trusted: see `kissapi.http.forwarded`. Nothing here runs unless it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi import core
from kissapi.http.authority import ip_address, split_port, with_port

if TYPE_CHECKING:
    from kissapi.http.headers import Headers


class Urls(core.Request):
    """The part of a request that makes URLs."""

    query_string: str

    if TYPE_CHECKING:  # a `Request` has them

        @property
        def scheme(self) -> str: ...
        @property
        def headers(self) -> Headers: ...

    @property
    def base_url(self) -> str:
        """Scheme and host, without a slash at the end: `https://shop.example`, `http://[::1]:8000`.

        They are what the client has used: the host is that of its Host field, or of the proxies that are
        trusted to tell it; without one, the address that it has connected to. Like all that a client sends,
        it may be any name: a server that has others reach it should not mail links to it.

            link = req.base_url + req.url_for("confirm", token=token)
        """
        name, port = split_port(self.headers.get("host", "") or self._local_authority())
        return f"{self.scheme}://{with_port(name.lower(), port, self.scheme)}"

    @property
    def url(self) -> str:
        """The whole URL of the request, percent-encoded: `https://shop.example/users/7?page=2`."""
        path = self.path if self.path.startswith("/") else ""  # "*", of OPTIONS
        return f"{self.base_url}{path}{'?' if self.query_string else ''}{self.query_string}"

    def url_for(self, name: str | Callable[..., Any], /, **values: Any) -> str:
        """The path of a route, with its query: of the route that is called `name`, or of a handler.

        A route is called by its `name=`, without one by the name of its handler. `values` are its parameters,
        which their types format; the rest is the query: a list is several values, None none. Prefixes are
        included; their parameters are those of this request, unless they are given. Of several routes of one
        name, one of this router comes before one of a router above it; then the one with the most parameters
        of which all are given. Raises `LookupError` for a name of no route, or of several; `ValueError` for
        parameters that lack or do not fit; `RuntimeError` for a request that no server has made.

            req.url_for("user", id=7, page=2)  # "/users/7?page=2"
            redirect(req.url_for(show, id=7))
        """
        if self._connection is None:
            raise RuntimeError("this request did not come over a connection: use router.url_for(…)")
        return str(self._connection.service.dispatch.url_for(name, values, self))

    def _local_authority(self) -> str:
        """The address that the client has connected to."""
        transport = self._connection.transport if self._connection is not None else None
        address = transport.get_extra_info("sockname") if transport is not None else None
        if not isinstance(address, tuple) or len(address) < 2:
            return "localhost"  # a Unix socket, or none
        host = str(address[0]).partition("%")[0]  # the zone means nothing elsewhere
        host = ip_address(host) or host
        return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"

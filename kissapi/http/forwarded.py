"""Forwarded: what proxies say about the client in fields of the head.

Only what a trusted proxy has written is read. Each proxy adds its element at the right end, behind all that a
client may have sent to deceive. So a field is read from the right, as long as the sender of an element is
trusted, and the client is the first that is not. What stands left of that is not even looked at.

An element of a trusted proxy that names no address (`unknown`, `_hidden`, other text) leaves the client
unknown: `req.client` is None. It is not the proxy, which may have rights that its clients have not. Nor is
the request refused, for the client is not to blame: it could cause that only where a proxy passes on what it
does not understand. Anything else without meaning, such as a scheme that is not the web's, is ignored.

A field that no trusted proxy sets is whatever the client sends. Hence `Server(proxy_headers=…)` names those
that are set, and `Forwarded` (RFC 7239) is never read beside X-Forwarded-For: a proxy that sets one of them
passes on the other.

The server gives the proxies it trusts to `proxied_request_class`, and serves the class it gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from kissapi.http.authority import ip_address, is_authority, split_port, with_port
from kissapi.http.grammar import TOKEN
from kissapi.http.once import once
from kissapi.http.request import Request

if TYPE_CHECKING:
    from kissapi.http.headers import Headers

USUAL = "x-forwarded-for, x-forwarded-proto"
KNOWN = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto")

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}  # some have words of their own
# As a value more than a token, and blanks that the grammar has not: many a proxy leaves the quotes off
# host:port.
_PAIR = rf'([{re.escape(TOKEN.decode())}]+)=(?:([^\s",;\\]+)|"((?:[^"\\]|\\.)*)")'
_PAIRS = re.compile(_PAIR)
_ELEMENT = re.compile(rf"(?:{_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*(?:[ \t]*;)?)?")
_COMMAS = 8  # in one element of Forwarded; more is no name, and looking on would cost the square

Client = tuple[str, int]


class TrustedProxies(Protocol):
    """The proxies that are believed; `kissapi.net.trusted_proxies` reads them from the server's settings."""

    def __contains__(self, address: str) -> bool:
        """Whether the IP address is one of theirs."""

    def is_trusted(self, peer: Any, sock: Any) -> bool:
        """Whether the other end of `sock`, which has the address `peer`, is one of them."""


def field_names(names: str | Iterable[str]) -> frozenset[str]:
    """The fields that `proxy_headers` names, in lower case. Raises `ValueError` for what cannot be read.

    >>> sorted(field_names("X-Forwarded-For, X-Forwarded-Proto"))
    ['x-forwarded-for', 'x-forwarded-proto']
    """
    given = names.split(",") if isinstance(names, str) else names
    fields = frozenset(name for each in given if (name := str(each).strip().lower()))
    for name in fields:
        if name not in KNOWN:
            raise ValueError(f"proxy_headers can be {', '.join(KNOWN)}, not {name!r}")
    if "forwarded" in fields and len(fields) > 1:
        raise ValueError(
            "proxy_headers is forwarded, or some of x-forwarded-…, not both: "
            "a proxy that sets one of them passes on what a client says in the other"
        )
    return fields


def proxied_request_class(
    trusted: TrustedProxies, fields: frozenset[str], request_class: type[Request]
) -> type[Request]:
    """`request_class`, with the client, scheme and host that `trusted` proxies tell in `fields`."""
    # A class of its own, so that a server without proxies does not even ask whether it has any.
    bases = (ProxiedRequest,) if request_class is Request else (request_class, ProxiedRequest)
    members = {"__module__": request_class.__module__, "_trusted": trusted, "_proxy_fields": fields}
    return type(request_class.__name__, bases, members)


class ProxiedRequest(Request):
    """A request that may have come through proxies."""

    _trusted: TrustedProxies
    _proxy_fields: frozenset[str]  # that they set, in lower case

    @property
    def client(self) -> Client | None:
        """Address and port (0 where no proxy tells it) of the client; None if that is not known."""
        return self._origin[0]

    @property
    def scheme(self) -> str:
        """`"https"` if the client speaks TLS, to this server or to a trusted proxy, else `"http"`."""
        return self._origin[1] or super().scheme

    @once
    def headers(self) -> Headers:
        """As of any request; Host is what the client has sent, if a trusted proxy tells it."""
        if not self._proxy_fields.isdisjoint(("forwarded", "x-forwarded-host", "x-forwarded-port")):
            self._origin  # noqa: B018  # it sets Host
        return super().headers

    @once
    def _origin(self) -> tuple[Client | None, str]:
        """The client, and the scheme if it is told."""
        peer = super().client
        connection = self._connection
        if connection is None:
            return peer, ""
        if not self._trusted.is_trusted(connection.peer, connection.transport.get_extra_info("socket")):
            return peer, ""
        headers = super().headers
        read = _read_forwarded if "forwarded" in self._proxy_fields else _read_x_forwarded
        client, scheme, host = read(headers, self._proxy_fields, self._trusted, peer)
        scheme = _SCHEMES.get(scheme.lower(), "")
        if "x-forwarded-port" in self._proxy_fields and (port := _last(headers.get("x-forwarded-port", ""))):
            name, _ = split_port(host or headers.get("host", ""))
            host = with_port(name, port, scheme or super().scheme)
        if host and is_authority(host):
            headers["host"] = host
        return client, scheme


def _read_x_forwarded(
    headers: Mapping[str, str], fields: frozenset[str], trusted: TrustedProxies, peer: Client | None
) -> tuple[Client | None, str, str]:
    """Client, scheme and host; the last two as the nearest proxy has them: most set them, few add to them."""
    client = peer
    chain = headers.get("x-forwarded-for", "") if "x-forwarded-for" in fields else ""
    for name in reversed(chain.split(",")):
        if name := name.strip(" \t"):
            client = _client(name)
            if client is None or client[0] not in trusted:
                break
    scheme = _last(headers.get("x-forwarded-proto", "")) if "x-forwarded-proto" in fields else ""
    host = _last(headers.get("x-forwarded-host", "")) if "x-forwarded-host" in fields else ""
    return client, scheme, host


def _read_forwarded(
    headers: Mapping[str, str], fields: frozenset[str], trusted: TrustedProxies, peer: Client | None
) -> tuple[Client | None, str, str]:
    """Client, scheme and host: all three from the element that names the client (RFC 7239 §4)."""
    client, element = peer, {}
    for element in _elements(headers.get("forwarded", "")):
        client = _client(element.get("for", ""))
        if client is None or client[0] not in trusted:
            break
    return client, element.get("proto", ""), element.get("host", "")


def _elements(field: str) -> Iterator[dict[str, str]]:
    """The elements of a Forwarded field, the last one first; what cannot be read is empty, and the end."""
    # A proxy balances the quotes of its element. So the shortest end that can be read is all of it: an open
    # quote that a client has sent in front takes nothing of it away.
    end = len(field)
    while end > 0:
        start = end
        for _ in range(_COMMAS):
            start = max(field.rfind(",", 0, start), 0)
            if found := _ELEMENT.fullmatch(field[start + (field[start] == ",") : end].strip(" \t")):
                break
            if start == 0:
                break
        pairs = _PAIRS.findall(found[0]) if found else []
        if pairs or not found:  # a list may have empty places (RFC 9110 §5.6.1)
            yield {name.lower(): token or re.sub(r"\\(.)", r"\1", quoted) for name, token, quoted in pairs}
        end = start if found else 0


def _last(field: str) -> str:
    return field.rpartition(",")[2].strip(" \t")


def _client(name: str) -> Client | None:
    """What stands for a client: an address, perhaps with a port. None for names that say nothing."""
    address, port = name, ""
    if name.startswith("["):
        address, bracket, port = name[1:].partition("]")
        if not bracket or ":" not in address or port[:1] not in ("", ":"):
            return None
        port = port[1:]
    elif name.count(":") == 1:
        address, _, port = name.partition(":")
    usual = ip_address(address)
    if usual is None:
        return None
    known = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    return usual, int(port) if known else 0  # a port may be hidden, too (RFC 7239 §6.3)

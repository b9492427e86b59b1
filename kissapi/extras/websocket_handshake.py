"""Handshake: the GET that asks for a WebSocket, judged and answered (RFC 6455 §4.2).

Law: whoever may not come in is told so in HTTP, with a status and what to do, before the connection is
anything but HTTP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kissapi.core import Fail
from kissapi.extras.websocket_deflate import Payloads
from kissapi.headers import is_token

if TYPE_CHECKING:
    from kissapi.request import Request

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_USUAL_PORTS = {"http": ":80", "https": ":443"}


class Agreed(NamedTuple):
    """What a handshake has come to."""

    headers: dict[str, str]
    subprotocol: str | None
    payloads: Payloads


class Terms:
    """What a route asks of its clients, as `Router.websocket` says it. Raises `ValueError` for nonsense."""

    def __init__(
        self,
        *,
        origins: Collection[str] | None,
        subprotocols: Sequence[str],
        max_message: int,
        ping_interval: float | None,
        ping_timeout: float,
        compress: bool,
    ) -> None:
        if isinstance(origins, str) and origins != "*":
            raise ValueError(f'origins is a list such as ["https://example.org"], or "*", not {origins!r}')
        if isinstance(subprotocols, str) or not all(map(is_token, subprotocols)):
            raise ValueError(f'subprotocols is a list of names such as ["chat.v1"], not {subprotocols!r}')
        if isinstance(max_message, bool) or not isinstance(max_message, int) or max_message < 1:
            raise ValueError(f"max_message is a number of bytes, not {max_message!r}")
        for name, seconds in (("ping_interval", ping_interval), ("ping_timeout", ping_timeout)):
            if name == "ping_interval" and seconds is None:
                continue
            # Written so that NaN fails, too.
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
                raise ValueError(f"{name} is a number of seconds above 0, not {seconds!r}")
        self.max_message = max_message
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self._any_origin = origins == "*"
        self._origins: frozenset[str] | None = None  # the page's own
        if origins is not None and not self._any_origin:
            self._origins = frozenset(map(_checked_origin, origins))
        self._subprotocols = tuple(subprotocols)
        self._compress = compress

    def agree(self, request: Request) -> Agreed:
        """What is agreed with the client. Raises `Fail`: 426, 400, 403, or 503 when the server stops."""
        headers = request.headers
        if (
            request.method != "GET"
            or request.http_version == "1.0"  # in which no upgrade is known (RFC 9110 §7.8)
            or "websocket" not in _members(headers.get("upgrade", "").lower())
            or "upgrade" not in _members(headers.get("connection", "").lower())
        ):
            raise _upgrade_required("Upgrade Required: this path speaks WebSocket only")
        if headers.get("sec-websocket-version") != "13":
            raise _upgrade_required("Upgrade Required: this server speaks version 13 of WebSocket")
        key = headers.get("sec-websocket-key", "")
        try:
            nonce = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            nonce = b""
        if len(nonce) != 16:
            raise Fail(400, "Bad Request: Sec-WebSocket-Key must be 16 bytes in base64")
        self._check_origin(request)
        if request._connection is not None and request._connection.service.stopping:
            raise Fail(503, "Service Unavailable: the server stops")
        payloads = Payloads(
            self.max_message, headers.get("sec-websocket-extensions", "") if self._compress else ""
        )
        offered = _members(headers.get("sec-websocket-protocol", ""))
        subprotocol = next((name for name in self._subprotocols if name in offered), None)
        accept = base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest())
        answer = {"sec-websocket-accept": accept.decode("ascii")}
        if subprotocol is not None:
            answer["sec-websocket-protocol"] = subprotocol
        if payloads.answer is not None:
            answer["sec-websocket-extensions"] = payloads.answer
        return Agreed(answer, subprotocol, payloads)

    def _check_origin(self, request: Request) -> None:
        """Browsers say of which page a script is, and send its user's cookies along, whatever the page is.

        Who is no browser need not say it, and could say anything (RFC 6455 §10.2).
        """
        origin = request.headers.get("origin")
        if origin is None or self._any_origin:
            return
        origin = _without_usual_port(origin.lower())
        if self._origins is not None:
            allowed = origin in self._origins
        else:
            scheme, _, host = origin.partition("://")
            asked = _without_usual_port(f"{scheme}://{request.headers.get('host', '').lower()}")
            allowed = bool(host) and origin == asked
        if not allowed:
            raise Fail(
                403,
                f"Forbidden: a page of {origin!r} may not connect here. "
                "To let it: @router.websocket(path, origins=[…])",
            )


def _upgrade_required(text: str) -> Fail:
    return Fail(426, text, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})


def _members(text: str) -> list[str]:
    return [member.strip(" \t") for member in text.split(",")]


def _without_usual_port(origin: str) -> str:
    return origin.removesuffix(_USUAL_PORTS.get(origin.partition("://")[0], ":"))


def _checked_origin(origin: str) -> str:
    if not isinstance(origin, str) or (origin != "null" and not _is_origin(origin)):
        raise ValueError(
            f'an origin is a scheme, a host, perhaps a port: "https://example.org", not {origin!r}'
        )
    return _without_usual_port(origin.lower())


def _is_origin(text: str) -> bool:
    scheme, _, host = text.partition("://")
    return bool(scheme) and bool(host) and "/" not in host and "*" not in host

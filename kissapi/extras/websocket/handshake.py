"""Handshake: the GET that asks for a WebSocket, accepted or refused (RFC 6455 §4.2).

A client that is refused gets an answer in HTTP, with a status and what to do, before the connection changes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kissapi.core import Fail
from kissapi.extras.websocket.deflate import Deflate
from kissapi.extras.websocket.deflate import agree as agree_on_deflate
from kissapi.extras.websocket.origins import Origins
from kissapi.http.grammar import is_token
from kissapi.http.limits import check_number

if TYPE_CHECKING:
    from kissapi.http.request import Request

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


class Terms:
    """The settings of one route; see `Router.websocket`. Raises `ValueError` for those that make no sense."""

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
        self.origins = Origins(origins)
        if isinstance(subprotocols, str) or not all(map(is_token, subprotocols)):
            raise ValueError(f'subprotocols is a list of names such as ["chat.v1"], not {subprotocols!r}')
        check_number("max_message", max_message, 1)
        for name, seconds in (("ping_interval", ping_interval), ("ping_timeout", ping_timeout)):
            if name == "ping_interval" and seconds is None:
                continue
            # Written so that NaN fails, too.
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
                raise ValueError(f"{name} is a number of seconds above 0, not {seconds!r}")
        self.subprotocols = tuple(subprotocols)
        self.max_message = max_message
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.compress = compress


class Agreed(NamedTuple):
    """The outcome of a handshake: the fields of the 101, and what holds from then on."""

    headers: dict[str, str]
    subprotocol: str | None
    deflate: Deflate | None  # None: messages are not compressed


def agree(terms: Terms, request: Request) -> Agreed:
    """What `terms` and `request` have in common. Raises `Fail`: 426, 400, 403, or 503 at a stop."""
    headers = request.headers
    if (
        request.method != "GET"
        or request.http_version == "1.0"  # which has no upgrades (RFC 9110 §7.8)
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
    terms.origins.check(request)
    if request._connection is not None and request._connection.service.stopping:
        raise Fail(503, "Service Unavailable: the server stops")
    offered = _members(headers.get("sec-websocket-protocol", ""))
    subprotocol = next((name for name in terms.subprotocols if name in offered), None)
    offers = headers.get("sec-websocket-extensions", "") if terms.compress else ""
    deflate = agree_on_deflate(offers)
    answer = {"sec-websocket-accept": accept_of(key)}
    if subprotocol is not None:
        answer["sec-websocket-protocol"] = subprotocol
    if deflate is not None:
        answer["sec-websocket-extensions"] = deflate.answer
    return Agreed(answer, subprotocol, deflate)


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept that answers the client's Sec-WebSocket-Key."""
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def _upgrade_required(text: str) -> Fail:
    return Fail(426, text, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})


def _members(text: str) -> list[str]:
    return [member.strip(" \t") for member in text.split(",")]

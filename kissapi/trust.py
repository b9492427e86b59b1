"""Trust: the proxies whose word about their clients is taken.

Law: who is not named is not believed. Addresses are compared as bits, never as text, so that one address has
one spelling: `::ffff:10.0.0.1` is 10.0.0.1, and `2001:DB8:0::1` is 2001:db8::1.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address as an IPv6 socket shows it (RFC 4291 §2.5.5.2)
UNKNOWN: tuple[()] = ()  # the address of a client of whom a proxy says that it does not know it


class Trusted:
    """Addresses and networks of proxies, and `unix` for whoever comes by a Unix socket.

    Raises `ValueError` for what is neither.

        >>> "10.1.2.3" in Trusted("127.0.0.1, 10.0.0.0/8, unix")
        True
    """

    def __init__(self, names: str | Iterable[str]) -> None:
        if not isinstance(names, Iterable):
            raise ValueError(
                f'trusted_proxies names them, as in "127.0.0.1, 10.0.0.0/8"; it is not {names!r}'
            )
        self.unix = False
        self._networks: list[tuple[int, int, int]] = []  # bytes of an address, bits to drop, what is left
        for name in names.split(",") if isinstance(names, str) else names:
            if not isinstance(name, str):
                raise ValueError(f"a trusted proxy is named by a string, not by {name!r}")
            if name.strip() == "unix":
                self.unix = True
            else:
                self._networks.append(_network(name.strip()))
        if not self.unix and not self._networks:
            raise ValueError('trusted_proxies is empty: name the proxies, such as "127.0.0.1, 10.0.0.0/8"')

    def __contains__(self, address: str) -> bool:
        packed = pack(address.partition("%")[0])  # without the interface of a link-local one
        if packed is None:
            return False
        number = int.from_bytes(packed, "big")
        size = len(packed)
        for length, drop, rest in self._networks:  # noqa: SIM110  # half the time of any()
            if size == length and number >> drop == rest:
                return True
        return False

    def knows(self, peer: Any, sock: Any) -> bool:
        """Whether the other end of `sock`, whose address is `peer`, is one of them."""
        if isinstance(peer, tuple):
            return bool(peer) and peer[0] in self
        # Not every peer without an address has come by a Unix socket: one that has left has none either.
        family = getattr(socket, "AF_UNIX", None)
        return self.unix and family is not None and getattr(sock, "family", None) == family


def pack(text: str) -> bytes | None:
    """The bytes of an IP address, 4 or 16; None if `text` is none."""
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed


def unpack(packed: bytes) -> str:
    """The usual spelling of an IP address of 4 or 16 bytes."""
    if len(packed) == 16 and packed.startswith(_MAPPED):
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _network(name: str) -> tuple[int, int, int]:
    address, slash, width = name.partition("/")
    packed = pack(address)
    if packed is None:
        hint = "; for everybody: 0.0.0.0/0 and ::/0, and then a client can name itself" * (name == "*")
        raise ValueError(
            f"{name!r} is no proxy to trust: write an address such as 127.0.0.1 or ::1, "
            f"a network such as 10.0.0.0/8, or unix{hint}"
        )
    bits = 8 * len(packed)
    if slash and not (width.isascii() and width.isdigit() and int(width) <= bits):
        raise ValueError(f"{name!r}: behind the slash stands a number of bits, 0 to {bits}")
    drop = bits - int(width) if slash else 0
    number = int.from_bytes(packed, "big")
    if number >> drop << drop != number:
        start = unpack((number >> drop << drop).to_bytes(len(packed), "big"))
        raise ValueError(f"{name!r} is an address inside of a network: the network is {start}/{width}")
    return len(packed), drop, number >> drop

"""The headers of the PROXY protocol, by which a proxy names its client in front of what the client sends.

HAProxy's specification, sections 2.1 (version 1, a line of text) and 2.2 (version 2, binary); the first bytes
tell the version. `kissapi.net.proxy_gate` reads the header from the socket.

A connection that a proxy has opened for itself (LOCAL: its health checks) is the proxy's own. If the proxy
does not know the client (UNKNOWN, a Unix socket), the connection has no known client; the specification would
let it pass for the proxy, but then X-Forwarded-For of that client would be believed.
"""

from __future__ import annotations

import re

from kissapi.net.trusted_proxies import UNKNOWN, pack, unpack

LINE = 107  # bytes of the longest version 1, its end included (§2.1)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

_LINE = re.compile(
    rb"PROXY (?:UNKNOWN[^\r\n]*|TCP([46]) ([^ ]+) ([^ ]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n"
)
# Address family: the bytes of one address, and those of both addresses and ports together.
_FAMILIES = {0: (0, 0), 1: (4, 12), 2: (16, 36), 3: (108, 216)}
_LOCAL, _PROXY = 0, 1
_UNSPECIFIED, _STREAM, _DATAGRAM = 0, 1, 2

Peer = tuple[str, int] | tuple[()]


class BadHeader(ValueError):
    """What came is no PROXY header."""


def header_size(data: bytes) -> int:
    """Bytes of the header that `data` begins with; 0 if more is needed to tell.

    Raises `BadHeader` as soon as it can be no header.
    """
    if SIGNATURE.startswith(data[: len(SIGNATURE)]):
        if len(data) > len(SIGNATURE) and data[len(SIGNATURE)] >> 4 != 2:
            raise BadHeader(f"version {data[len(SIGNATURE)] >> 4} of the PROXY protocol")
        return 16 + int.from_bytes(data[14:16], "big") if len(data) >= 16 else 0
    if not b"PROXY ".startswith(data[:6]):
        raise BadHeader("no PROXY header in front; a proxy sends it if it is told to (send-proxy-v2)")
    end = data.find(b"\r\n", 0, LINE) + 2
    if end == 1 and len(data) >= LINE:
        raise BadHeader(f"a PROXY line of more than {LINE} bytes")
    return end if end > 1 else 0


def read_header(data: bytes) -> Peer | None:
    """The client's address, from a whole header: None for the proxy itself, `UNKNOWN` if it does not know.

    Raises `BadHeader`.

        >>> read_header(b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 80\\r\\n")
        ('192.0.2.1', 5000)
    """
    if data.startswith(b"PROXY"):
        return _read_line(data)
    command, family, transport, block = data[12] & 15, data[13] >> 4, data[13] & 15, data[16:]
    if command == _LOCAL:
        return None
    if command != _PROXY:
        raise BadHeader(f"PROXY command {command}")
    if family not in _FAMILIES or transport not in (_UNSPECIFIED, _STREAM, _DATAGRAM):
        raise BadHeader(f"address family {family} and transport {transport} in a PROXY header")
    size, whole = _FAMILIES[family]
    if len(block) < whole:
        raise BadHeader(f"a PROXY header with {len(block)} of {whole} bytes of addresses")
    if size not in (4, 16) or transport == _UNSPECIFIED:
        return UNKNOWN
    return unpack(block[:size]), int.from_bytes(block[2 * size : 2 * size + 2], "big")


def _read_line(line: bytes) -> Peer:
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadHeader("a PROXY line that breaks the rules")
    family, *texts, source_port, target_port = found.groups(b"")
    if not family:
        return UNKNOWN
    source, target = (text.decode("latin-1") for text in texts)
    for address in (source, target):
        if (":" in address) != (family == b"6") or pack(address) is None:
            raise BadHeader(f"a PROXY line of TCP{family.decode()} with the address {address!r}")
    if max(int(source_port), int(target_port)) > 65535:
        raise BadHeader("a PROXY line with a port above 65535")
    packed = pack(source)
    assert packed is not None
    return unpack(packed), int(source_port)

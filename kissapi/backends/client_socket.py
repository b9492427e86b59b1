"""Client socket: what asyncio's Transport does not tell, asked of the socket behind it.

`transport.get_extra_info("socket")` is on every backend; a transport without one, as tests have, has no
unread input and is never gone. `Service` has these functions as attributes, so a simulation can replace them.
"""

from __future__ import annotations

import select
import socket
import struct
from typing import Any


def has_input(transport: Any) -> bool:
    """Whether bytes wait in the socket of `transport` that have not been read."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return False
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def is_gone(transport: Any) -> bool:
    """Whether the client has broken the connection; that it sends no more is no such sign."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0 or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(0))  # POLLERR or POLLHUP, which are always told


def reset(transport: Any) -> None:
    """Close at once with a reset: where the end of the connection ends the body, FIN would be a lie."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()

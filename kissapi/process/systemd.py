"""systemd: tells it when the server is ready, restarts and stops (sd_notify(3)), if it asks for that."""

from __future__ import annotations

import os
import socket


def notify(*states: str) -> None:
    """Say `states`, such as `READY=1`, to the socket that NOTIFY_SOCKET names; without one, say nothing."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    if where.startswith("@"):  # the abstract namespace of Linux
        where = "\0" + where[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto("\n".join(states).encode(), where)
        except OSError:
            pass  # systemd is gone: keep serving

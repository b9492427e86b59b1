"""Address: where a server listens, as text.

    127.0.0.1:8000   localhost:0   :8000   [::]:80   unix:/run/app.sock   unix:@app   fd://3   systemd

`:8000` is every IPv4 address, port 0 a free one, `fd://3` a socket that the program which
started this one has opened, and `systemd` all those that systemd has opened (socket activation). `[::]` is
IPv6 alone, whatever the system's default: for both, name both. `unix:@app` is a name in Linux' abstract
namespace, which is no file; a file named @app is `unix:./@app`.
"""

import os
from typing import NamedTuple

_FIRST_FD = 3  # of those that systemd hands over; see sd_listen_fds(3)


class Address(NamedTuple):
    """One place to listen: `path` or `fd` if they are set, else `host`; None means every address.

    A `path` that begins with @ is an abstract name, as systemd and `ss` write them.
    """

    host: str | None = None
    port: int = 0
    path: str = ""
    fd: int = -1

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        if self.fd >= 0:
            return f"fd://{self.fd}"
        host = self.host or "0.0.0.0"
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_address(text: str) -> list[Address]:
    """The addresses that `text` stands for: one, or for `systemd` as many as it has opened.

    Raises `ValueError` that says what an address looks like.

        >>> parse_address("[::1]:8000")
        [Address(host='::1', port=8000, path='', fd=-1)]
    """
    if not isinstance(text, str):
        raise ValueError(f'an address is a string such as "127.0.0.1:8000", not {text!r}')
    if text == "systemd":
        return [Address(fd=fd) for fd in _systemd()]
    kind, _, rest = text.partition(":")
    if kind == "unix":
        path = rest.removeprefix("//")
        if not path.removeprefix("@"):
            raise ValueError("a Unix socket has a path: unix:/run/app.sock, or an abstract name: unix:@app")
        # No system takes NUL in a path, and a line break would split the list that a successor is handed.
        if "\0" in path or "\n" in path:
            raise ValueError(
                f"the path of a Unix socket has no NUL and no line break, as {path!r} has; "
                "an abstract name is written with @: unix:@app"
            )
        return [Address(path=path)]
    if kind == "fd":
        number = rest.removeprefix("//")
        if not (number.isascii() and number.isdigit()):
            raise ValueError(
                f"fd:// is followed by the number of an open socket, as in fd://3, not by {number!r}"
            )
        return [Address(fd=int(number))]
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        bracketed = "[::1]:8000" if host.startswith("[") else f"[{host}]:{port}"
        raise ValueError(f"an IPv6 address stands in brackets: {bracketed}")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(
            f"{text!r} is no address: write HOST:PORT, [IPV6]:PORT, unix:PATH, fd://NUMBER or systemd"
        )
    return [Address(host or "0.0.0.0", int(port))]


def _systemd() -> range:
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise ValueError(
            "systemd has opened no sockets for this process (LISTEN_PID): is there a .socket unit?"
        )
    count = os.environ.get("LISTEN_FDS", "")
    if not count.isdigit() or count == "0":
        raise ValueError(f"LISTEN_FDS is a number of sockets, not {count!r}")
    return range(_FIRST_FD, _FIRST_FD + int(count))

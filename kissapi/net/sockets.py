"""Sockets: binding listening sockets, and a look at what has arrived."""

import errno
import socket
from typing import Any, NamedTuple

from kissapi.net.address import Address
from kissapi.net.unix_socket import FileId, listen_unix

# A machine may resolve names to addresses that it cannot use: most containers, to those of IPv6.
_NO_SUCH_FAMILY = frozenset((errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL))
_PORT = "Server(port=…); the command kissapi takes --port and the variable PORT"


class Bound(NamedTuple):
    """The sockets of one address; `file` is the one of a Unix socket, `inherited` what was handed over."""

    address: Address
    sockets: list[socket.socket]
    file: FileId | None
    inherited: bool = False


def listen(address: Address, backlog: int, unix_mode: int | None = None) -> list[socket.socket]:
    """Listening sockets for `address`; a Unix socket gets the permissions `unix_mode`.

    Raises `OSError` with a message that says what to do.
    """
    if address.fd >= 0:
        return [_take_over(address.fd)]
    if address.path:
        return [listen_unix(address.path, backlog, unix_mode)]
    return bind(address.host, address.port, backlog)


def _take_over(fd: int) -> socket.socket:
    """The listening socket that the program which started this one has opened."""
    try:
        sock = socket.socket(fileno=fd)
    except (OSError, OverflowError) as error:
        number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (errno.EBADF, error)
        raise OSError(number, f"fd://{fd} is no socket that this process has: {why}") from None
    try:
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listens = 0
    if not listens:
        sock.detach()
        raise OSError(errno.EINVAL, f"fd://{fd} is a socket, but does not listen")
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def bind(host: str | None, port: int, backlog: int) -> list[socket.socket]:
    """Listening sockets on every address of `host` (None: all there are); with port 0, on one free port.

    Raises `OSError` with a message that says what to do.
    """
    try:
        # In bytes: text would be encoded as IDNA, whose tables are 0.3 MiB, though it is ASCII.
        name = host.encode() if host and host.isascii() else host
        found = socket.getaddrinfo(
            name or None, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise OSError(errno.EADDRNOTAVAIL, f"{host!r} is no address of this machine: {why}") from None
    listening: list[socket.socket] = []
    problem: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            sock = _listen(family, kind, protocol, (address[0], port, *address[2:]), backlog)
        except OSError as error:
            problem = error
            if error.errno not in _NO_SUCH_FAMILY:
                break
        else:
            listening.append(sock)
            port = sock.getsockname()[1]
    if problem is not None and (not listening or problem.errno not in _NO_SUCH_FAMILY):
        for sock in listening:
            sock.close()
        raise OSError(problem.errno, _remedy(problem, host, port))
    return listening


def _listen(family: int, kind: int, protocol: int, address: tuple[Any, ...], backlog: int) -> socket.socket:
    # The protocol is named, for asyncio turns Nagle's delay of 40 ms off only where it is.
    sock = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_REUSEPORT"):  # not on Windows, where SO_REUSEADDR lets others steal the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _remedy(error: OSError, host: str | None, port: int) -> str:
    where = f"port {port} of {host or 'this machine'}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use: stop the program that uses it, or choose another with {_PORT}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission for {where}: choose one from 1024 up with {_PORT}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: use 127.0.0.1, 0.0.0.0 or one it has"
    return f"cannot listen on {where}: {error.strerror or error}"

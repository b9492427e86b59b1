"""Sockets: binding, accepting, and a look at what has arrived.

Law: the one place where connections come in, whatever the loop: its `add_reader` says when, and the backend
makes a transport of each accepted socket.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import struct
import sys
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kissapi.address import Address

# Out of descriptors or memory: waiting helps, going on does not.
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
# A machine may have names for a family of addresses that it cannot use: most containers and IPv6.
_NO_SUCH_FAMILY = frozenset((errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL))
_PORT = "Server(port=…); the command kissapi takes --port and the variable PORT"
_AT_ONCE = 64  # connections accepted before those already there get their turn
_RETRY = 0.5  # seconds
HANDSHAKE = 0.05  # seconds for one that is under way when we stop listening
_SO_ATTACH_FILTER = 26  # Linux; no name in the socket module
# Linux' packet filter, run on each packet to a listening socket: code, jump if true, if false, operand.
_NO_MORE_HANDSHAKES = (
    (0x30, 0, 0, 13),  # the flags of the TCP header
    (0x54, 0, 0, 0x12),  # SYN and ACK of them
    (0x15, 0, 1, 0x02),  # SYN alone, which opens a handshake …
    (0x06, 0, 0, 0),  # … is dropped; the client tries again after a second, and is refused or meets our heir
    (0x06, 0, 0, 0xFFFFFFFF),  # all others pass
)


def listen(address: Address, backlog: int, unix_mode: int | None = None) -> list[socket.socket]:
    """Listening sockets for `address`; a Unix socket gets the permissions `unix_mode`.

    Raises `OSError` with a message that says what to do.
    """
    if address.fd >= 0:
        return [_take_over(address.fd)]
    if address.path:
        return [_listen_unix(address.path, backlog, unix_mode)]
    return bind(address.host, address.port, backlog)


def _take_over(fd: int) -> socket.socket:
    """The listening socket that whoever started us has opened."""
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


def _listen_unix(path: str, backlog: int, mode: int | None) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets: listen on a HOST:PORT")
    if _is_abstract(path):
        if sys.platform != "linux":
            raise OSError(errno.EAFNOSUPPORT, f"abstract names, as in unix:{path}, are Linux': use a path")
        if mode is not None:
            raise OSError(
                errno.EINVAL,
                f"unix:{path} is no file, so it has no permissions: all programs may connect; "
                "choose a path, or leave out unix_mode (--unix-mode)",
            )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_left_behind(path):
            os.unlink(path)
        sock.setblocking(False)
        sock.bind(f"\0{path[1:]}" if _is_abstract(path) else path)
        if mode is not None:
            os.chmod(path, mode)  # before anybody can connect
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(error.errno, f"{path} {_why_taken(path)}") from None
        raise OSError(error.errno, f"cannot listen on unix:{path}: {error.strerror or error}") from None
    return sock


def _is_abstract(path: str) -> bool:
    return path.startswith("@")


def _why_taken(path: str) -> str:
    """What is at `path` where `bind` says that it is in use, and what to do."""
    kind = _kind_of(path)
    if kind is None and os.path.islink(path):
        return (
            f"is a link to {os.readlink(path)}, which is not there: remove the link, or choose another path"
        )
    if kind is not None and not stat.S_ISSOCK(kind):
        return "is there, and no socket: remove it, or choose another path"
    return "is in use: stop the program that listens there"


def closed_to_others(path: str, file: File | None) -> str:
    """The mode of the Unix socket at `path`, in octal, if it is still `file` and other users may not connect.

    Else nothing. To connect takes permission to write (unix(7)); the usual umask, 022, gives that to the
    owner alone.
    """
    kind = _kind_of(path) if file is not None and file_of(path) == file else None
    return "" if kind is None or kind & stat.S_IWOTH else f"{stat.S_IMODE(kind):03o}"


def _kind_of(path: str) -> int | None:
    """The mode of the file at `path`, or where a link there leads; None if nothing is there."""
    try:
        return None if _is_abstract(path) else os.stat(path).st_mode
    except OSError:
        return None


def _is_left_behind(path: str) -> bool:
    """Whether `path` is a socket that nobody listens on any more."""
    kind = _kind_of(path)
    if kind is None or not stat.S_ISSOCK(kind):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


File = tuple[int, int]  # device and number: what makes a file the same one


def file_of(path: str) -> File | None:
    """Which file `path` is now; None if there is none, as of an abstract name."""
    if _is_abstract(path):
        return None
    try:
        found = os.lstat(path)  # a link to it is no longer what we made
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove(path: str, file: File | None) -> None:
    """Remove the Unix socket at `path`, if it is still `file`, and not that of our heir."""
    if file is not None and file_of(path) == file:
        os.unlink(path)


def bind(host: str | None, port: int, backlog: int) -> list[socket.socket]:
    """Listening sockets on every address of `host` (None: all there are); with port 0, on one free port.

    Raises `OSError` with a message that says what to do.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
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


class Listener:
    """Accepts from one listening socket and hands each connection to `adopt`, while `has_room` says so."""

    def __init__(
        self,
        sock: socket.socket,
        loop: Any,
        adopt: Callable[[socket.socket], object],
        has_room: Callable[[], bool],
        warn: Callable[[str], None],
    ) -> None:
        self.sock = sock
        self._loop = loop
        self._adopt = adopt
        self._has_room = has_room
        self._warn = warn
        self._paused = True
        self._retry: Any = None
        self.resume()

    def resume(self) -> None:
        """Go on accepting, if it was paused."""
        if self._paused and self.sock.fileno() >= 0 and self._has_room():
            self._paused = False
            self._loop.add_reader(self.sock, self._accept)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._loop.remove_reader(self.sock)

    def _accept(self, most: int = _AT_ONCE) -> None:
        for _ in range(most):
            if not self._has_room():
                self._pause()  # until a connection closes
                return
            try:
                sock, _ = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._wait_for_descriptors(error)
                return
            sock.setblocking(False)
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._adopt(sock)

    def _wait_for_descriptors(self, error: OSError) -> None:
        if self._retry is None:
            self._warn(f"cannot accept more connections: {error.strerror}; raise the limit with ulimit -n")
        else:
            self._retry.cancel()
        self._pause()
        self._retry = self._loop.call_later(_RETRY, self._try_again)

    def _try_again(self) -> None:
        self.resume()
        if self._paused:
            return
        # Only once a connection has come through is the shortage over, and worth a line when it comes again.
        self._accept(1)
        if not self._paused:
            self._retry = None

    def refuse_handshakes(self) -> bool:
        """Let nobody begin to connect; whether this system can do that.

        The kernel resets whom it has let in between our last `accept` and our `close`, with the request they
        have sent. Told first to let nobody in, and given `HANDSHAKE` for those under way, it has none.
        """
        unix = self.sock.family == getattr(socket, "AF_UNIX", None)
        if sys.platform != "linux" or unix or self.sock.fileno() < 0:
            return False
        program = array("B", b"".join(struct.pack("HBBI", *step) for step in _NO_MORE_HANDSHAKES))
        where = struct.pack("HP", len(_NO_MORE_HANDSHAKES), program.buffer_info()[0])
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, where)
        except OSError:  # a sandbox that forbids it
            return False
        return True

    def leave(self) -> None:
        """Listen no more, and leave what the kernel has queued to others who have this socket."""
        if self.sock.fileno() >= 0:
            self._pause()
            if self._retry is not None:
                self._retry.cancel()
            self.sock.close()

    def close(self) -> None:
        """Accept what the kernel has queued, then stop listening."""
        if self.sock.fileno() < 0:
            return
        self._accept(1 << 16)
        self._pause()
        if self._retry is not None:
            self._retry.cancel()
        self.sock.close()

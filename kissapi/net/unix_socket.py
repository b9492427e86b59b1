"""Unix sockets: listening at a path or at an abstract name, and the file that belongs to the socket."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys

FileId = tuple[int, int]  # device and number: what makes a file the same one


def listen_unix(path: str, backlog: int, mode: int | None) -> socket.socket:
    """A listening socket at `path`, with the permissions `mode`.

    Takes the place of a socket file on which no program listens any more. Raises `OSError` with a message
    that says what to do.
    """
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
            os.chmod(path, mode)  # before a client can connect
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


def closed_to_others(path: str, file: FileId | None) -> str:
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
    """Whether `path` is a socket on which no program listens any more."""
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


def file_of(path: str) -> FileId | None:
    """Which file `path` is now; None if there is none, as of an abstract name."""
    if _is_abstract(path):
        return None
    try:
        found = os.lstat(path)  # a link to it is no longer what we made
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove(path: str, file: FileId | None) -> None:
    """Remove the Unix socket at `path`, if it is still `file`, and not that of a successor."""
    if file is not None and file_of(path) == file:
        os.unlink(path)

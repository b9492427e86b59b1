"""Restart: a new process takes over the listening sockets, and only then does the old one end.

Law: there is always somebody who accepts. An heir is ready before we leave; one that fails leaves us where
we are. The first process stays, as a guardian that serves nobody, so that its number and its exit code remain
those of the service.

The heir is the same command with the same arguments. It is handed the sockets, by the addresses they stand
for, and a line to its guardian: it says R on it when it is ready, and leaves when it hears L.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kissapi.address import Address
    from kissapi.sockets import File

# By lines: line=5, localhost:8000=6+7, unix:/run/app.sock=8@64769:4711, of which the last are a device and a
# number there: whether the path still leads to this socket, the socket itself does not tell.
VARIABLE = "KISSAPI_HEIR"
READY, LEAVE = b"R", b"L"

# Sockets, by the address that was asked for, and the file of a Unix socket.
Handed = list[tuple[str, list[socket.socket], "File | None"]]


class Inheritance:
    """What an heir has been handed, if this process is one."""

    def __init__(self, text: str) -> None:
        self._handed: Handed = []
        self.line: socket.socket | None = None
        for entry in text.splitlines():
            name, _, numbers = entry.rpartition("=")
            numbers, _, file = numbers.partition("@")
            socks = [socket.socket(fileno=int(number)) for number in numbers.split("+")]
            for sock in socks:
                sock.set_inheritable(False)
                sock.setblocking(False)
            if name == "line":
                self.line = socks[0]
                if os.environ.get("LISTEN_PID") == str(os.getppid()):  # what systemd has opened is ours now
                    os.environ["LISTEN_PID"] = str(os.getpid())
            else:
                device, _, inode = file.partition(":")
                self._handed.append((name, socks, (int(device), int(inode)) if file else None))

    def take(self, address: Address) -> tuple[list[socket.socket], File | None]:
        """The sockets that were handed down for `address`, none if there are none, and their file."""
        for entry in self._handed:
            if entry[0] == str(address):
                self._handed.remove(entry)  # who asks for one more free port gets the next
                return entry[1:]
        return [], None

    def ready(self) -> None:
        """Tell the guardian that we serve, and close what is no longer served."""
        self._close()
        if self.line is not None:
            self.line.send(READY)

    def disown(self) -> None:
        """In a process that was forked from the heir: close what it was handed."""
        self._close()
        if self.line is not None:
            let_go(self.line)
            self.line = None

    def _close(self) -> None:
        for _, socks, _ in self._handed:
            for sock in socks:
                sock.close()
        self._handed.clear()

    def told_to_leave(self) -> bool | None:
        """What the line has to say: True to leave, None once there is no guardian any more."""
        assert self.line is not None
        try:
            data = self.line.recv(16)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.line.close()
            self.line = None
            return None
        return LEAVE in data


inheritance = Inheritance(os.environ.pop(VARIABLE, ""))  # popped: the processes that we start are no heirs


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return None


_FOLDER = _folder()  # where the program was started: it may go elsewhere


def _spell(name: str, socks: list[socket.socket], file: File | None) -> str:
    numbers = "+".join(str(sock.fileno()) for sock in socks)
    return f"{name}={numbers}" + (f"@{file[0]}:{file[1]}" if file is not None else "")


def let_go(sock: socket.socket) -> None:
    """Close it in a forked process, where no loop will ever say that it watches it no more.

    uvloop has `close` wait for that.
    """
    if sock.fileno() >= 0:
        os.close(sock.detach())


class Heir:
    """A process that has been started to take over; `heard` is called when it is ready or has ended."""

    def __init__(self, handed: Handed, loop: Any, heard: Callable[[Heir], None]) -> None:
        import subprocess  # 10 ms to import, and most servers never restart

        self.ready = False
        self._loop = loop
        self._heard = heard
        self._line, theirs = socket.socketpair()
        self._line.setblocking(False)
        named: Handed = [("line", [theirs], None), *handed]
        try:
            self.process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env={**os.environ, VARIABLE: "\n".join(_spell(*entry) for entry in named)},
                pass_fds=[sock.fileno() for _, socks, _ in named for sock in socks],
                cwd=_FOLDER,
                process_group=0,  # or Ctrl-C would reach it twice: from the terminal, and from us
            )
        except BaseException:
            self._line.close()
            raise
        finally:
            theirs.close()
        loop.add_reader(self._line, self._read)

    def leave(self) -> None:
        """Tell it that another has taken over."""
        try:
            self._line.send(LEAVE)
        except OSError:
            pass  # it has ended

    def disown(self) -> None:
        """In a process that was forked from the guardian: close the line."""
        let_go(self._line)

    def signal(self, number: int) -> None:
        """Pass a signal on."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def ended(self) -> int | None:
        """Its exit code, if it has ended: of a signal, what a shell makes of it."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def _read(self) -> None:
        try:
            data = self._line.recv(16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.ready = self.ready or READY in data
        if not data:
            self._loop.remove_reader(self._line)
            self._line.close()
            self.process.wait()  # its end of the line is closed: it ends now
        self._heard(self)

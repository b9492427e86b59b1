"""Handover: how listening sockets get from one process to the next, from both ends.

A graceful restart starts the same command with the same arguments: the successor. It inherits the sockets,
each with the address that was asked for, and a line to the process that started it, its supervisor. It sends
READY on the line when it serves, and stops accepting when it receives STOP_ACCEPTING. With NEW it asks for a
new process in its place: `--reload` watches the files in the process that serves. `kissapi.process.restart`
decides when.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.process.line import NEW, READY, STOP_ACCEPTING, hear, say

if TYPE_CHECKING:
    from kissapi.net.address import Address
    from kissapi.net.unix_socket import FileId

# One entry in each line of text, a name and its descriptors: line=5 is the line to the supervisor, then
# localhost:8000=6+7, unix:/run/app.sock=8@64769:4711. Behind the @ are the device and the inode of the
# file, for the socket does not tell whether the path still leads to it.
VARIABLE = "KISSAPI_INHERITED_SOCKETS"

# Sockets, by the address that was asked for, and the file of a Unix socket.
Handed = list[tuple[str, list[socket.socket], "FileId | None"]]


class InheritedSockets:
    """What this process has been handed, if it is a successor: `text` is the value of `VARIABLE`."""

    def __init__(self, text: str) -> None:
        self._handed: Handed = []
        self.line: socket.socket | None = None  # to the supervisor
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

    def claim(self, address: Address) -> tuple[list[socket.socket], FileId | None]:
        """The sockets that were handed down for `address`, none if there are none, and their file."""
        for entry in self._handed:
            if entry[0] == str(address):
                self._handed.remove(entry)  # another server that asks for a free port gets the next
                return entry[1:]
        return [], None

    def report_ready(self) -> None:
        """Tell the supervisor that this process serves, and close inherited sockets that no server has."""
        self._close_unclaimed()
        if self.line is not None:
            say(self.line, READY)  # a supervisor that has ended is noticed on the line

    def ask_for_new(self) -> bool:
        """Ask the supervisor for a new process in place of this one, from any thread; False if it is gone."""
        line = self.line
        return line is not None and say(line, NEW)

    def close_inherited(self) -> None:
        """In a process that was forked from the successor: close what it was handed."""
        self._close_unclaimed()
        if self.line is not None:
            close_in_fork(self.line)
            self.line = None

    def _close_unclaimed(self) -> None:
        for _, socks, _ in self._handed:
            for sock in socks:
                sock.close()
        self._handed.clear()

    def is_told_to_stop_accepting(self) -> bool | None:
        """Whether the supervisor has sent STOP_ACCEPTING; None once the supervisor has ended."""
        assert self.line is not None
        words = hear(self.line)
        if words == b"":
            self.line.close()
            self.line = None
            return None
        return words is not None and STOP_ACCEPTING in words


# Popped, for the processes that we start are no successors.
inherited = InheritedSockets(os.environ.pop(VARIABLE, ""))


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return None


_FOLDER = _folder()  # where the program was started: it may go elsewhere


def _spell(name: str, socks: list[socket.socket], file: FileId | None) -> str:
    numbers = "+".join(str(sock.fileno()) for sock in socks)
    return f"{name}={numbers}" + (f"@{file[0]}:{file[1]}" if file is not None else "")


def close_in_fork(sock: socket.socket) -> None:
    """Close `sock` in a forked process: its descriptor, for there is no loop that stops watching it.

    On uvloop, `close` of a socket that is watched waits until the loop stops watching it.
    """
    if sock.fileno() >= 0:
        os.close(sock.detach())


class Successor:
    """A process that is started to take over; `on_change(successor)` is called when it is ready or ends.

    Raises `OSError` if it cannot be started, `ValueError` if the sockets have been closed.
    """

    def __init__(self, handed: Handed, loop: Any, on_change: Callable[[Successor], None]) -> None:
        import subprocess  # 10 ms to import, and most servers never restart

        self.ready = False
        self.asks_for_new = False
        self._loop = loop
        self._on_change = on_change
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

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self.process.pid

    def stop_accepting(self) -> None:
        """Tell it to stop accepting: another successor has taken over."""
        say(self._line, STOP_ACCEPTING)

    def close_inherited(self) -> None:
        """In a process that was forked from its supervisor: close the line."""
        close_in_fork(self._line)

    def send_signal(self, number: int) -> None:
        """Pass a signal on."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def exit_code(self) -> int | None:
        """Its exit code, if it has ended; 128 + number after a signal, as in a shell."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def _read(self) -> None:
        words = hear(self._line)
        if words is None:
            return
        self.ready = self.ready or READY in words
        self.asks_for_new = NEW in words
        if not words:
            self._loop.remove_reader(self._line)
            self._line.close()
            self.process.wait()  # its end of the line is closed: it ends now
        self._on_change(self)

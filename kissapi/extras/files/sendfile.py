"""Sendfile: an open file that sends itself, by the kernel alone where that is possible.

Elsewhere (over TLS, on Windows, on a file system without it) the file is read and written piece by piece. As
many bytes as the head has promised are sent, or the connection is cut. The file is closed however it ends.
`FileResponse` has an `OpenFile` as its body; `BodyWriter` calls its `send_to`.

asyncio's own `loop.sendfile` is not used. If the transport is aborted meanwhile, because the client takes
nothing, asyncio leaves the socket registered in the loop, and the next socket with the same number gets no
events. uvloop has no `sendfile`. Neither reports progress, which the write deadlines need.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop

if TYPE_CHECKING:
    from kissapi.http.body_writer import BodyWriter

# Bytes that the kernel sends in one call, the same as nginx: other clients wait meanwhile, 0.2 ms on
# loopback. With a quarter of it, a single fast download is a seventh slower.
PIECE = 2 * 1024 * 1024
READ = 128 * 1024  # bytes of one read: as many wait in memory for each slow client


def _seek_and_read(descriptor: int, size: int, start: int) -> bytes:
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size)


_read_at = getattr(os, "pread", _seek_and_read)  # Windows has no pread


class OpenFile:
    """A regular file that is open for reading; as the body of a `Response` it sends `start` to `stop` of it.

    It owns `descriptor`, and closes it. Raises `IsADirectoryError` for a directory, and `FileNotFoundError`
    for a device, a pipe or a socket.
    """

    __slots__ = ("_descriptor", "mtime_ns", "size", "start", "stop")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "this is a folder")
            raise FileNotFoundError(errno.ENOENT, "this is no regular file")
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns
        self.start = 0
        self.stop = self.size

    def close(self) -> None:
        """Close the file, if it is open."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close  # the response was never sent: a hook gave another

    def read(self) -> bytes:
        """The bytes from `start` to `stop`; closes the file. Raises `RuntimeError` if it is shorter now."""
        try:
            data = _read_at(self._descriptor, self.stop - self.start, self.start)
        finally:
            self.close()
        if len(data) < self.stop - self.start:
            raise RuntimeError(f"the file ended after {self.start + len(data)} of {self.size} bytes")
        return data

    def whole_path(self) -> str | None:
        """A path that leads to the file, if all of it is to be sent: for servers that are given paths."""
        try:
            path = os.readlink(f"/proc/self/fd/{self._descriptor}")
            there = os.stat(path)
        except OSError:  # not Linux, or it has been renamed
            return None
        same = os.path.samestat(there, os.fstat(self._descriptor)) and there.st_size == self.size
        return path if same and (self.start, self.stop) == (0, self.size) else None

    async def send_to(self, writer: BodyWriter) -> None:
        """Send the bytes from `start` to `stop`; less if it is shorter now, which the writer notices."""
        sock = _duplicated(writer.socket())
        if sock is not None:
            with sock:
                writer.send_head()
                if not writer.writable:  # earlier pipelined answers are still being sent
                    await writer.taken()
                writer.take_over()
                try:
                    await _Pump(self, writer, sock).run()
                finally:
                    writer.give_back()
        while self.start < self.stop:
            data = _read_at(self._descriptor, min(self.stop - self.start, READ), self.start)
            if not data:
                break
            self.start += len(data)
            await writer.send(data)

    def send_by_kernel(self, sock: socket.socket) -> int:
        """Send the next piece through `sock`; gives the bytes it took. Raises `OSError` if it takes none."""
        sent = os.sendfile(sock.fileno(), self._descriptor, self.start, min(self.stop - self.start, PIECE))
        self.start += sent
        return sent


class _Pump:
    """Sends a piece of a file each time the socket is writable, until all is sent or the kernel refuses."""

    __slots__ = ("done", "file", "sock", "writer")

    def __init__(self, file: OpenFile, writer: BodyWriter, sock: socket.socket) -> None:
        self.file = file
        self.writer = writer
        self.sock = sock
        self.done: Any = None

    async def run(self) -> None:
        loop = running_loop()
        self.done = loop.create_future()
        loop.add_writer(self.sock, self._send_piece)
        try:
            await self.done
        finally:
            loop.remove_writer(self.sock)

    def _send_piece(self) -> None:
        if self.done.done() or self.writer.unsent:
            return  # the transport sends the head first, in this turn of the loop
        try:
            sent = self.file.send_by_kernel(self.sock)
            self.writer.progress(sent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # The client has left, or the file system has no sendfile: reading and writing shows which.
            self.done.set_result(None)
            return
        except BaseException as error:
            self.done.set_exception(error)
            return
        if not sent or self.file.start == self.file.stop:
            self.done.set_result(None)


def _duplicated(sock: Any) -> socket.socket | None:
    """A second descriptor of `sock`, if the kernel may write to it; None if not.

    uvloop refuses `add_writer` for the descriptor of one of its transports; elsewhere it would take the place
    of the transport's own.
    """
    if not hasattr(os, "sendfile") or sock is None or sock.fileno() < 0:
        return None
    try:
        return socket.fromfd(sock.fileno(), sock.family, sock.type)
    except OSError:  # no descriptor is left: read and write instead
        return None

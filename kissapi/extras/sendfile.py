"""Sendfile: an open file on its way to a client, by the kernel alone where it can do that.

Law: what the head has promised is sent, or the connection is cut; and the file is closed, however it ends.
Elsewhere (over TLS, on Windows, on a file system that cannot do it) it is read and written, piece by piece.

asyncio's own `loop.sendfile` is not used: when a transport is aborted meanwhile, as one is whose client takes
nothing, the socket stays in the loop for good, and the next one of its number is deaf; uvloop has none; and
neither would tell how it goes.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Any

from kissapi.awaitables import running_loop

if TYPE_CHECKING:
    from kissapi.body_writer import BodyWriter

# Bytes that the kernel sends at once, the same as nginx: all others wait for it, 0.2 ms on loopback. With a
# quarter of it, a single fast download is a seventh slower.
PIECE = 2 * 1024 * 1024
READ = 128 * 1024  # bytes that are read at once: each client may leave us sitting on so many


def _read_at_any_rate(descriptor: int, size: int, start: int) -> bytes:
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size)


_read_at = getattr(os, "pread", _read_at_any_rate)  # Windows has none


class OpenFile:
    """A regular file that is open for reading; as the body of a `Response` it sends `start` to `stop` of it.

    Takes over `descriptor`. Raises `IsADirectoryError` for a directory and `FileNotFoundError` for what else
    is no file: a device, a pipe, a socket.
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

    __del__ = close  # of an answer that never was given: a hook had another

    def read(self) -> bytes:
        """All that is to be sent; closes the file. Raises `RuntimeError` if it has become shorter."""
        try:
            data = _read_at(self._descriptor, self.stop - self.start, self.start)
        finally:
            self.close()
        if len(data) < self.stop - self.start:
            raise RuntimeError(f"the file ended after {self.start + len(data)} of {self.size} bytes")
        return data

    async def send_to(self, writer: BodyWriter) -> None:
        """Send what is to be sent; less if the file has become shorter, which the writer will notice."""
        sock = _duplicate(writer.socket())
        if sock is not None:
            with sock:
                writer.send_head()
                if not writer.writable:  # it has answers to take that were asked for before this one
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
        """Send the next piece through `sock`: how many bytes it took. Raises `OSError` if it takes none."""
        sent = os.sendfile(sock.fileno(), self._descriptor, self.start, min(self.stop - self.start, PIECE))
        self.start += sent
        return sent


class _Pump:
    """Sends a piece of a file whenever the socket takes one, until it is out, or the kernel says no."""

    __slots__ = ("done", "file", "sock", "writer")

    def __init__(self, file: OpenFile, writer: BodyWriter, sock: socket.socket) -> None:
        self.file = file
        self.writer = writer
        self.sock = sock
        self.done: Any = None

    async def run(self) -> None:
        loop = running_loop()
        self.done = loop.create_future()
        loop.add_writer(self.sock, self._turn)
        try:
            await self.done
        finally:
            loop.remove_writer(self.sock)

    def _turn(self) -> None:
        if self.done.done() or self.writer.unsent:
            return  # the transport sends the head first, in this very turn
        try:
            sent = self.file.send_by_kernel(self.sock)
            self.writer.progress(sent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # The client has gone, or the file system cannot do it: reading and writing will show which.
            self.done.set_result(None)
            return
        except BaseException as error:
            self.done.set_exception(error)
            return
        if not sent or self.file.start == self.file.stop:
            self.done.set_result(None)


def _duplicate(sock: Any) -> socket.socket | None:
    """Another descriptor of `sock`, if the kernel may write to it.

    Of its own loops let nobody else watch a transport's.
    """
    if not hasattr(os, "sendfile") or sock is None or sock.fileno() < 0:
        return None
    try:
        return socket.fromfd(sock.fileno(), sock.family, sock.type)
    except OSError:  # no descriptor left: it goes without, too
        return None

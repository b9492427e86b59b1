"""Stream: a body that goes out as it is made.

Law: no piece is asked for before the client has taken most of those before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.awaitables import running_loop, sleep, to_thread

if TYPE_CHECKING:
    from kissapi.connection import Connection

_END = object()


async def stream(connection: Connection, head: bytes, body: Any, chunked: bool) -> int:
    """Send `head`, then what `body`, a sync or async iterator, gives: `str` or `bytes`. Returns its size.

    The head goes out with the first piece: what is raised before that can still be answered in full.
    A sync iterator may block, so it is asked in a worker thread. However this ends, the iterator is closed.
    """
    asynchronous = hasattr(body, "__anext__")
    size = 0
    try:
        while True:
            piece: Any = await (anext(body, _END) if asynchronous else to_thread(next, body, _END))
            if piece is _END:
                break
            data = piece.encode() if isinstance(piece, str) else bytes(memoryview(piece))  # no int, no list
            size += len(data)
            if data and chunked:  # an empty chunk would end the body
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if data:
                connection.send(head + data)
                head = b""
            if connection.writable:
                await sleep(0)  # a generator that never waits must not hold up the others
            else:
                connection.on_writable = running_loop().create_future()
                await connection.on_writable
        if head or chunked:
            connection.send(head + b"0\r\n\r\n" * chunked)
    finally:
        connection.on_writable = None
        if asynchronous:
            if hasattr(body, "aclose"):
                await body.aclose()
        elif hasattr(body, "close"):
            try:
                body.close()
            except ValueError:
                pass  # it is at work in its thread, and ends with its last user
    return size

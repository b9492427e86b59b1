"""Messages: what may be sent over a WebSocket, as an event of wsproto."""

from __future__ import annotations

from wsproto.events import BytesMessage, TextMessage

Message = str | bytes | bytearray | memoryview


def event_of(message: Message) -> TextMessage | BytesMessage:
    """A `str` as text, bytes as binary. Raises `TypeError` for anything else."""
    if isinstance(message, str):
        return TextMessage(message)
    if isinstance(message, (bytes, bytearray, memoryview)):
        return BytesMessage(bytes(message))
    raise TypeError(f"a message is str or bytes, not {type(message).__name__}; json.dumps makes a str of it")

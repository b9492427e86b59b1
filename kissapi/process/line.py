"""Line: a pair of sockets between two processes of a program, and the words that they say on it.

A word is one byte, so none comes in parts. There is a line between a supervisor and its successor
(`kissapi.process.handover`), and between a master and each worker (`kissapi.process.worker`).
"""

from __future__ import annotations

import socket

READY, STOP_ACCEPTING = b"R", b"L"  # said on both
NEW = b"N"  # of a successor
PING, STOP, ENOUGH, FAILED = b"P", b"S", b"M", b"X"  # between a master and a worker


def say(line: socket.socket, word: bytes) -> bool:
    """Say `word`; False if the other process has ended, which the line will tell, or hears nothing."""
    try:
        return line.send(word) > 0
    except OSError:
        return False


def hear(line: socket.socket, most: int = 64) -> bytes | None:
    """The words that have been said since, at most so many bytes: None for none, b"" at the end."""
    try:
        return line.recv(most)
    except BlockingIOError:
        return None
    except OSError:
        return b""

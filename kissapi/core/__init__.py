"""The core: what happens between the bytes of a request and the bytes of its answer, whatever the protocol.

    bytes → Parser → Connection → Dispatch → hooks → handler → Service.encode → bytes

It imports nothing else of kissapi, does no I/O, and runs by itself: tests/core/ serves two protocols with a
copy of this folder alone. A protocol is a `Parser` and an `encode`. A server is a subclass of `Service` that
replaces the seams it needs.

    message.py     Request, Response, Fail: what a parser reads, and the two ways to answer
    parser.py      the contract with parsers
    hooks.py       hooks and error handlers, composed once
    dispatch.py    routes, compiled: method and path → coroutine
    service.py     what the connections of a loop share, and the seams
    connection.py  the state machine of one client
"""

from kissapi.core.connection import BUSY, CLOSED, CLOSING, IDLE, LEGAL, SENT, STREAMING, Connection
from kissapi.core.dispatch import Dispatch, Target
from kissapi.core.hooks import answer, compose
from kissapi.core.message import Fail, Request, Response
from kissapi.core.parser import Parser
from kissapi.core.service import Service

__all__ = [
    "BUSY",
    "CLOSED",
    "CLOSING",
    "IDLE",
    "LEGAL",
    "SENT",
    "STREAMING",
    "Connection",
    "Dispatch",
    "Fail",
    "Parser",
    "Request",
    "Response",
    "Service",
    "Target",
    "answer",
    "compose",
]

"""The core: what happens between the bytes of a request and the bytes of its answer, whatever the protocol.

    bytes → Parser → Connection → Dispatch → hooks → handler → Service.encode → bytes

It imports nothing else of kissapi, does no I/O, and runs by itself: tests/core/ serves two protocols with a
copy of this folder alone. A protocol is a `Parser` and an `encode`. A server is a subclass of `Service` that
replaces the seams it needs.

    message.py     Request and Response: what a parser reads, and what a handler may answer
    fail.py        Fail: the exception that answers
    parser.py      the contract with parsers
    compose.py     hooks and error handlers, composed once
    dispatch.py    routes, compiled: method and path → coroutine
    service.py     what the connections of a loop share, and the seams
    states.py      the states of a connection, and their transitions
    channel.py     the transport of one client: its state and back-pressure
    connection.py  one client: bytes in, requests in order, answers out
"""

from kissapi.core.compose import answer, compose
from kissapi.core.connection import SENT, Connection
from kissapi.core.dispatch import Dispatch, Endpoint
from kissapi.core.fail import Fail
from kissapi.core.message import Request, Response
from kissapi.core.parser import Parser
from kissapi.core.service import Service
from kissapi.core.states import BUSY, CLOSED, CLOSING, IDLE, LEGAL, STREAMING

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
    "Endpoint",
    "Fail",
    "Parser",
    "Request",
    "Response",
    "Service",
    "answer",
    "compose",
]

"""TlsHandshake: a client whose TLS handshake is not done.

It stands in for the connection with the service: it counts as a connection, has a deadline, and is ended at
stop. When the handshake is done, a `TlsTransport` takes its place as the protocol of the transport below, and
the connection begins.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kissapi.backends.tls_records import TlsRecords
from kissapi.backends.tls_transport import TlsTransport

if TYPE_CHECKING:
    from kissapi.backends.host import Connect, Host, Peer


def over_tls(service: Host, connect: Connect, current: Callable[[], ssl.SSLContext]) -> Connect:
    """`connect` for clients that begin with a handshake, each with the context that `current()` returns."""

    def connect_over_tls(peer: Peer = None) -> TlsHandshake:
        return TlsHandshake(service, connect(peer), current())

    return connect_over_tls


class TlsHandshake:
    """A `Guest` of the service, and a protocol in asyncio's sense; `connection` is the one to begin."""

    __slots__ = (
        "__weakref__",
        "_connection",
        "_ended",
        "_records",
        "_room",
        "_service",
        "_since",
        "below",
    )

    def __init__(self, service: Host, connection: Any, context: ssl.SSLContext) -> None:
        self.below: Any = None
        self._service = service
        self._connection = connection
        self._records = TlsRecords(context)
        self._since = service.clock()
        self._room = True  # False while the transport below has enough to send
        self._ended = False  # it has failed, or has been aborted

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{' ended' if self._ended else ''}>"

    # Called by the transport below

    def connection_made(self, below: Any) -> None:
        self.below = below
        self._service.add(self)
        if self._ended:  # aborted before there was a transport
            below.abort()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            done = self._records.shake_hands(data)
        except ssl.SSLError:
            # A port scan, plain HTTP, a client that does not trust the certificate: too common to log.
            # What is flushed is OpenSSL's alert, which tells the client why.
            self._ended = True
            self._flush()
            self.below.close()
            return
        if done:
            self._begin()
        else:
            self._flush()

    def eof_received(self) -> bool:
        self._ended = True
        return False  # close, once what was written is sent

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._service.remove(self)

    def pause_writing(self) -> None:
        self._room = False

    def resume_writing(self) -> None:
        self._room = True

    # Called by the service

    @property
    def transport(self) -> Any:
        """The transport below; see `Guest`."""
        return self.below

    def tick(self, now: float) -> None:
        """End a handshake that takes too long."""
        limits = self._service.limits
        patience = limits.drain_timeout if self._service.stopping else limits.handshake_timeout
        if now > self._since + patience:
            self.abort()

    def drain(self) -> None:
        """The server stops: a client that is quick may still send a request."""
        self._since = self._service.clock()

    def abort(self, why: str = "") -> None:
        """End at once."""
        self._ended = True
        if self.below is not None:
            self.below.abort()

    def _flush(self) -> None:
        if self._records.outgoing.pending:
            self.below.write(self._records.outgoing.read())

    def _begin(self) -> None:
        """The handshake is done.

        In TLS 1.3 all that is left to be sent are tickets, for connections to come. They wait for the first
        answer, which spares a write; BoringSSL does the same.
        """
        if self._records.ssl_object.version() != "TLSv1.3":
            self._flush()
        over = TlsTransport(self._service, self._connection, self.below, self._records, self._room)
        self._service.connections.discard(self)
        self.below.set_protocol(over)
        self._connection.connection_made(over)
        # A request may have come behind the handshake; its answer goes out with the last of that.
        data = self._records.unread()
        if data:
            over.data_received(data)

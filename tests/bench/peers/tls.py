"""A bare loop round the module ssl: a handshake, one request, constant bytes, the end. No framework is less.

Its TLS is that of kissapi: ALPN, tickets, sessions that are resumed (wrk does it), TLS's own end. It reads no
HTTP, has no deadline, and closes without waiting for the client's end, which could cost that its answer.

python tls.py PORT FOLDER, of cert.pem and key.pem
"""

from __future__ import annotations

import socket
import ssl
import sys
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
    b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\nHello, world!"
)


def main(port: str, folder: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    context.set_alpn_protocols(["http/1.1"])
    selector = DefaultSelector()

    def accept(listener: socket.socket) -> None:
        raw, _ = listener.accept()
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        selector.register(sock, EVENT_READ, go_on)

    def go_on(sock: ssl.SSLSocket) -> None:
        try:
            sock.do_handshake()
            if sock.recv(65536):
                sock.send(ANSWER)
                try:
                    sock.unwrap()
                except (ssl.SSLWantReadError, OSError):
                    pass
        except ssl.SSLWantReadError:
            selector.modify(sock, EVENT_READ, go_on)
            return
        except ssl.SSLWantWriteError:
            selector.modify(sock, EVENT_WRITE, go_on)
            return
        except OSError:
            pass
        selector.unregister(sock)
        sock.close()

    selector.register(socket.create_server(("127.0.0.1", int(port)), backlog=2048), EVENT_READ, accept)
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj)


if __name__ == "__main__":
    main(*sys.argv[1:])

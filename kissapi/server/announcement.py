"""Announcement: the lines that a server logs when it begins to serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kissapi.http.parser import HttpParser
from kissapi.net import unix_socket

if TYPE_CHECKING:
    from kissapi.http.interfaces import Log
    from kissapi.server.listening import ListeningSockets
    from kissapi.server.settings import Settings


def announce(settings: Settings, listening: ListeningSockets, log: Log) -> None:
    """Say where it serves, and what will surprise: sockets closed to others, no certificate, slow parsing."""
    if settings.lacks_asyncio:
        log.info('This Python has no asyncio: serving on backend="selectors"')
    log.info(f"Serving on {settings.url}")
    for address in settings.addresses[1:]:
        log.info(f"Serving on {address} as well")
    for group in listening.groups:
        path = group.address.path
        if path and settings.unix_mode is None and (mode := unix_socket.closed_to_others(path, group.file)):
            log.info(
                f"unix:{path} has mode {mode}: programs of other users, such as nginx, cannot connect; "
                "unix_mode=0o660 (--unix-mode 660) lets in those of its group, 0o666 all"
            )
    if settings.tls is not None and settings.tls.lacks_certificate():
        log.warning("no client can connect: ssl= has no certificate; context.load_cert_chain(…) gives it one")
    if settings.parser_class is HttpParser and HttpParser.library.__name__.startswith("kissapi."):
        log.info("Parsing HTTP in pure Python; with httptools installed it is faster")

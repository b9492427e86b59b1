"""ListeningSockets: the sockets that one server listens on, and the files of the Unix sockets among them.

They are bound here, or handed over by the process that served before: `claim(address)` gives such sockets and
their file. The workers of a master have copies of its sockets; then they are `shared`, and closing them here
ends nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from kissapi.net import sockets, unix_socket
from kissapi.net.address import Address
from kissapi.net.sockets import Bound

if TYPE_CHECKING:
    from socket import socket

    from kissapi.server.settings import Settings

Claim = Callable[[Address], tuple[list["socket"], "unix_socket.FileId | None"]]


class ListeningSockets:
    """What `bind` gives. With `shared`, other processes accept from the same sockets."""

    def __init__(self, groups: list[Bound], shared: bool = False) -> None:
        self.groups = groups
        self.shared = shared

    @property
    def all(self) -> list[socket]:
        """The sockets of all addresses."""
        return [sock for group in self.groups for sock in group.sockets]

    @property
    def own(self) -> list[socket]:
        """Those on which no other process listens, as one does that hands down `fd://3`."""
        return [
            sock for each in self.groups if each.address.fd < 0 for sock in each.sockets if not self.shared
        ]

    def located(self, settings: Settings) -> Settings:
        """`settings` with the host and the port that the first address has got."""
        first = self.groups[0]
        if first.address.path:
            return settings
        name = first.sockets[0].getsockname()
        if not isinstance(name, tuple):  # a Unix socket of systemd; an abstract name begins with NUL
            return settings.located(settings.host, settings.port, os.fsdecode(name).replace("\0", "@"))
        return settings.located(settings.host if first.address.fd < 0 else name[0], name[1])

    def for_worker(self) -> ListeningSockets:
        """The same sockets in a forked process; their files are its master's."""
        return ListeningSockets([group._replace(file=None) for group in self.groups], shared=True)

    def close(self) -> None:
        """Close them, with all that the kernel has queued for them."""
        for sock in self.all:
            sock.close()

    def remove_files(self) -> None:
        """Remove the files of Unix sockets that are still those of these sockets."""
        for group in self.groups:
            if group.address.path:
                unix_socket.remove(group.address.path, group.file)

    def abandon(self) -> None:
        """Close them because nothing is served; what was handed over is still served by another process."""
        self.close()
        ListeningSockets([group for group in self.groups if not group.inherited]).remove_files()


def bind(settings: Settings, claim: Claim | None = None) -> ListeningSockets:
    """Listen on each address, or take what was handed over for it.

    Raises `OSError` that says what to do, with an attribute `cannot_listen`.
    """
    bound = ListeningSockets([])
    try:
        for address in settings.addresses:
            found, file = claim(address) if claim is not None else ([], None)
            inherited = bool(found)
            if not inherited:
                found = sockets.listen(address, settings.limits.backlog, settings.unix_mode)
                file = unix_socket.file_of(address.path) if address.path else None
            bound.groups.append(Bound(address, found, file, inherited))
        settings.router.check_addresses([sock.getsockname() for sock in bound.all])
    except OSError as error:
        bound.abandon()
        error.cannot_listen = True  # type: ignore[attr-defined]
        raise
    return bound

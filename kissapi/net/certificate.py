"""TlsContext: the context of new handshakes, and the files that its certificate comes from.

A certificate is served with its own key, or not at all. A new pair takes the place of the old one as a whole:
open connections go on with what they began with, and a pair that is broken, or half written, is not used.
`Server` asks for the context at each handshake.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    FilePath = str | os.PathLike[str]
    Password = str | bytes | Callable[[], str | bytes]

# Mozilla's intermediate list for TLS 1.2 (server side TLS 5.7), without the DHE suites, which need parameters
# that are not here: forward secrecy, and no CBC. Those of TLS 1.3 are not up to this.
CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
LOOK = 1.0  # seconds from one look at the files to the next; and only when a client comes: no timer


def make_tls(
    context: ssl.SSLContext | None,
    certfile: FilePath | None,
    keyfile: FilePath | None,
    password: Password | None,
    protocols: Sequence[str],
) -> TlsContext:
    """What a `Server` is given, as a `TlsContext`. Raises `ValueError` for what does not go together."""
    if context is not None:
        if any(given is not None for given in (certfile, keyfile, password)):
            raise ValueError(
                "ssl= has a certificate of its own: give ssl=, or certfile= and keyfile=, not both"
            )
        return TlsContext(context)
    if certfile is None:
        raise ValueError("a key alone is not enough: certfile= is its certificate")
    return TlsFromFiles(certfile, keyfile, password, protocols)


class Notices(Protocol):
    """Where a new certificate is reported: the log of a server."""

    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...


class TlsContext:
    """TLS with a context that is the user's.

    Raises `TypeError` for what is no `ssl.SSLContext` and `ValueError` for one that is made for clients.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        if not isinstance(context, ssl.SSLContext):
            raise TypeError(
                f"ssl must be an ssl.SSLContext, not {context!r}; for files: Server(certfile=…, keyfile=…)"
            )
        if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
            raise ValueError(
                "ssl is a context for clients: make it with ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)"
            )
        self.context = context

    def look(self, now: float, log: Notices) -> None:
        """A client comes, `now` in seconds: see whether there is a new certificate."""

    def current(self, now: float, log: Notices) -> ssl.SSLContext:
        """The context for the handshake of a client that comes now; see `look`."""
        self.look(now, log)
        return self.context

    def reload(self) -> None:
        """Take the certificate from its files again."""
        raise RuntimeError(
            "this server has no certfile to look at: new handshakes use what its ssl= context is given with "
            "context.load_cert_chain(…)"
        )

    def lacks_certificate(self) -> bool:
        """Whether every handshake would fail because there is no certificate; nothing would log that."""
        if self.context.sni_callback is not None:
            return False  # it may put another context in the place of this one
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
        client.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        client.set_ciphers("ALL:@SECLEVEL=0")
        ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            client.wrap_bio(ours, theirs).do_handshake()
        except ssl.SSLWantReadError:
            pass
        try:
            self.context.wrap_bio(theirs, ours, server_side=True).do_handshake()
        except ssl.SSLError as error:
            return error.reason == "NO_SHARED_CIPHER"
        return False


class TlsFromFiles(TlsContext):
    """TLS 1.2 and later; the certificate is read again when its files change.

    The ciphers are those of `CIPHERS`; for other ones, `Server` is given a context.
    `certfile` and `keyfile` are PEM files, the key perhaps in `certfile` too; `password` opens an encrypted
    key. `protocols` are what ALPN offers (RFC 7301). Raises `ValueError` if they cannot be used.
    """

    def __init__(
        self,
        certfile: FilePath,
        keyfile: FilePath | None,
        password: Password | None,
        protocols: Sequence[str],
    ) -> None:
        self.certfile = os.fspath(certfile)
        self.keyfile = None if keyfile is None else os.fspath(keyfile)
        self._password = password
        self._protocols = protocols
        self._looked = 0.0
        self._seen: object = None  # the state of the files that was tried last
        self.reload()

    def look(self, now: float, log: Notices) -> None:
        if now - self._looked < LOOK:
            return
        self._looked = now
        if self._state_of_files() == self._seen:
            return
        try:
            self.reload()
        except ValueError as error:
            log.warning(f"the old certificate stays in use: {error}")
        else:
            log.info(f"a new certificate is in use: {self.certfile}")

    def reload(self) -> None:
        """Take the certificate from its files again. Raises `ValueError`, and keeps the old, if it cannot."""
        self._seen = self._state_of_files()  # first: what changes while we read is seen at the next look
        self.context = self._make_context()

    def _state_of_files(self) -> list[object]:
        states: list[object] = []
        for file in (self.certfile, self.keyfile):
            try:
                found = os.stat(file) if file is not None else None
            except OSError as error:
                states.append(error.errno)
            else:
                states.append(found and (found.st_ino, found.st_size, found.st_mtime_ns))
        return states

    def _make_context(self) -> ssl.SSLContext:
        key_in = self.keyfile if self.keyfile is not None else self.certfile
        if b"CERTIFICATE-----" not in _read("certfile", self.certfile):
            raise ValueError(f"certfile {self.certfile!r} has no certificate in PEM form in it")
        if b"PRIVATE KEY-----" not in _read("keyfile", key_in):
            remedy = "give the file that has, keyfile=…" if self.keyfile is None else "is it in PEM form?"
            raise ValueError(f"{key_in!r} has no private key in it: {remedy}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996; some systems' settings allow less
        context.set_ciphers(CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION  # TLS 1.2: the costly part, as often as a client likes
        if self._protocols:
            context.set_alpn_protocols(list(self._protocols))
        asked = False

        def password() -> str | bytes:
            # OpenSSL would ask at the terminal, and wait, where none is given.
            nonlocal asked
            asked = True
            return self._password() if callable(self._password) else self._password or b""

        try:
            context.load_cert_chain(self.certfile, self.keyfile, password)
        except (ssl.SSLError, OSError) as error:
            if asked and self._password is None:
                why = f"the key in {key_in!r} is encrypted: open it with keyfile_password=…"
            elif asked:
                why = f"keyfile_password does not open the key in {key_in!r}"
            elif getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                why = (
                    f"the key in {key_in!r} is not that of the certificate in {self.certfile!r}, "
                    "where the server's own has to be the first"
                )
            else:
                why = f"certfile {self.certfile!r} and key in {key_in!r} cannot be used: {error}"
            raise ValueError(why) from None
        return context


def _read(argument: str, file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except FileNotFoundError:
        raise ValueError(f"{argument}: there is no file {os.path.abspath(file)!r}") from None
    except OSError as error:
        raise ValueError(f"{argument}: cannot read {file!r}: {error.strerror}") from None

"""Certificates: made when tests want them, by `openssl`; none is committed, for each would expire one day."""

from __future__ import annotations

import io
import shutil
import ssl
import subprocess
from functools import cache
from pathlib import Path

import pytest

from kissapi.log import Log
from kissapi.net.certificate import TlsFromFiles

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def make_certificates(folder: Path) -> Path:
    """In `folder`: cert.pem and key.pem for localhost, the same in both.pem, with the key in encrypted.pem
    behind the password `secret`; old.pem and old_key.pem, another pair; text.pem, which is neither.

    Skips the test where there is no `openssl`.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the certificates of this test")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    for certfile, keyfile in (("cert.pem", "key.pem"), ("old.pem", "old_key.pem")):
        new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
        _openssl(folder, *new.split(), "-addext", names, "-keyout", keyfile, "-out", certfile)
    _openssl(folder, *"pkcs8 -topk8 -in key.pem -out encrypted.pem -passout pass:secret".split())
    (folder / "both.pem").write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    (folder / "text.pem").write_text("hello\n")
    return folder


@pytest.fixture(scope="session")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make_certificates` fills."""
    return make_certificates(tmp_path_factory.mktemp("pems"))


@cache
def serving(folder: Path) -> ssl.SSLContext:
    return TlsFromFiles(folder / "cert.pem", folder / "key.pem", None, ["http/1.1"]).context


def trusting(
    folder: Path, version: ssl.TLSVersion = TLS_1_3, certfile: str = "cert.pem", alpn: tuple[str, ...] = ()
) -> ssl.SSLContext:
    """A client's context."""
    context = ssl.create_default_context(cafile=str(folder / certfile))
    context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


class Pair:
    """A certificate and its key in a folder of their own, watched by `tls`."""

    def __init__(self, pems: Path, folder: Path) -> None:
        self.pems = pems
        self.certfile, self.keyfile = folder / "cert.pem", folder / "key.pem"
        self.install("old.pem", "old_key.pem")
        self.tls = TlsFromFiles(self.certfile, self.keyfile, None, [])
        self.now = 1000.0
        self.log = io.StringIO()

    def install(self, certfile: str | None = None, keyfile: str | None = None) -> None:
        for ours, theirs in ((self.certfile, certfile), (self.keyfile, keyfile)):
            if theirs is not None:
                new = ours.with_suffix(".new")
                shutil.copyfile(self.pems / theirs, new)
                new.rename(ours)

    def look(self, later: float = 2) -> ssl.SSLContext:
        """What a client gets that comes `later` seconds after the last one."""
        self.now += later
        log = Log(self.log)
        self.tls.look(self.now, log)
        log.finish()
        return self.tls.context

    @property
    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.log.getvalue().splitlines()]


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr

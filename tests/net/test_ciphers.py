"""Ciphers: what TLS 1.2 agrees on has forward secrecy and authenticates what it encrypts; CBC is refused."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kissapi.net.certificate import CIPHERS, TlsFromFiles
from tests import app
from tests.certificates import make_certificates
from tests.peer import connect

if TYPE_CHECKING:
    from kissapi import Server

GOOD = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
CBC = [
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
]
OLD = ["AES128-GCM-SHA256", "AES256-SHA256", "DHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384"]  # RSA keys


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of `make_certificates`, and rsa.pem, which has an RSA key."""
    folder = make_certificates(tmp_path_factory.mktemp("pems"))
    new = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout rsa.key -out rsa.crt"
    subprocess.run(["openssl", *new.split()], cwd=folder, capture_output=True, check=True, timeout=20)
    (folder / "rsa.pem").write_bytes((folder / "rsa.crt").read_bytes() + (folder / "rsa.key").read_bytes())
    return folder


@pytest.fixture(params=["asyncio", "uvloop", "selectors"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def https(serve: Callable[..., Server], backend: str, pems: Path) -> Callable[..., Server]:
    def start(certfile: str) -> Server:
        options: dict[str, Any] = {"certfile": pems / certfile}
        if backend == "uvloop":
            uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
            options |= {"backend": "asyncio", "loop_factory": uvloop.new_event_loop}
        return serve(app.router, **options)

    return start


_REFUSALS = ("SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_HANDSHAKE_FAILURE")


def agreed(server: Server, ciphers: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> str | None:
    """The cipher that a client gets that offers `ciphers`; None if it is refused. One that gets it asks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with connect(server.port) as plain:
        try:
            with context.wrap_socket(plain) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
                chosen = client.cipher()
                return chosen[0] if chosen is not None else None
        except ssl.SSLError as error:
            if error.reason not in _REFUSALS:
                raise
            return None


def test_a_client_that_can_only_do_cbc_is_refused(https: Callable[..., Server]) -> None:
    server = https("both.pem")
    assert [agreed(server, cipher) for cipher in GOOD] == GOOD
    assert [agreed(server, cipher) for cipher in CBC] == [None] * len(CBC)
    assert agreed(server, ":".join(CBC)) is None
    assert agreed(server, ":".join([*CBC, GOOD[1]])) == GOOD[1]
    assert (agreed(server, "ALL", ssl.TLSVersion.TLSv1_3) or "").startswith("TLS_")


def test_it_is_so_with_an_rsa_key(https: Callable[..., Server]) -> None:
    server = https("rsa.pem")
    good = [cipher.replace("ECDSA", "RSA") for cipher in GOOD]
    assert [agreed(server, cipher) for cipher in good] == good
    assert [agreed(server, cipher) for cipher in OLD] == [None] * len(OLD)


def test_they_are_these_whatever_the_machine_has_set_up(pems: Path) -> None:
    context = TlsFromFiles(pems / "both.pem", None, None, []).context
    names = {str(cipher["name"]) for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    assert names == set(CIPHERS.split(":"))
    assert all(cipher["aead"] for cipher in context.get_ciphers())

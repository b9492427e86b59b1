"""Certificates: files that cannot be used are refused in one line, files that change are taken."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from kissapi import Server
from tests.backends.ends import UntilTheEnd
from tests.certificates import TLS_1_2, Pair


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"certfile": "no.pem", "keyfile": "key.pem"}, r"certfile: there is no file '/.*no\.pem'"),
        ({"certfile": "cert.pem", "keyfile": "no.pem"}, r"keyfile: there is no file '/.*no\.pem'"),
        ({"certfile": "cert.pem", "keyfile": "."}, "keyfile: cannot read '.*': Is a directory"),
        ({"certfile": "cert.pem"}, r"'.*cert\.pem' has no private key in it: .* keyfile="),
        ({"certfile": "cert.pem", "keyfile": "text.pem"}, r"'.*text\.pem' has no private key in it: .*PEM"),
        ({"certfile": "text.pem", "keyfile": "key.pem"}, r"certfile '.*text\.pem' has no certificate in PEM"),
        ({"certfile": "cert.pem", "keyfile": "old_key.pem"}, r"old_key.pem' is not that of .*first"),
        ({"certfile": "cert.pem", "keyfile": "encrypted.pem"}, r"encrypted.pem' is encrypted: .*_password="),
        (
            {"certfile": "cert.pem", "keyfile": "encrypted.pem", "keyfile_password": "wrong"},
            r"keyfile_password does not open the key in '.*encrypted\.pem'",
        ),
        ({"certfile": "broken.pem", "keyfile": "key.pem"}, r"broken\.pem' .*cannot be used"),
        ({"keyfile": "key.pem"}, "certfile= is its certificate"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_says_what_to_do(
    pems: Path, arguments: dict[str, str], words: str
) -> None:
    (pems / "broken.pem").write_bytes((pems / "cert.pem").read_bytes()[:200])
    paths = {name: value if "password" in name else str(pems / value) for name, value in arguments.items()}
    with pytest.raises(ValueError, match=words) as caught:
        Server(**paths)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("password", ["secret", b"secret", lambda: "secret"])
def test_an_encrypted_key_is_opened(pems: Path, password: Any) -> None:
    server = Server(certfile=pems / "cert.pem", keyfile=pems / "encrypted.pem", keyfile_password=password)
    assert server.url == "https://0.0.0.0:8000"


def test_certificate_and_key_may_be_one_file(pems: Path) -> None:
    assert Server(certfile=str(pems / "both.pem")).tls is not None


def test_a_context_is_taken_as_it_is(pems: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = Server(ssl=context)
    assert server.tls is not None
    assert server.tls.context is context
    assert server.tls.lacks_certificate()
    context.load_cert_chain(pems / "cert.pem", pems / "key.pem")
    assert not server.tls.lacks_certificate()
    context.verify_mode = ssl.CERT_REQUIRED  # of a client that has none: another matter
    assert not server.tls.lacks_certificate()
    context.maximum_version = TLS_1_2
    context.set_ciphers("ECDHE-ECDSA-ARIA128-GCM-SHA256")  # one that clients usually do not offer
    assert not server.tls.lacks_certificate()


def test_a_context_that_gives_way_to_others_needs_no_certificate() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda *_: pytest.fail("asked for nobody")
    tls = Server(ssl=context).tls
    assert tls is not None
    assert not tls.lacks_certificate()


def test_what_does_not_go_together_is_refused(pems: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for arguments in ({"certfile": "cert.pem"}, {"keyfile": "key.pem"}, {"keyfile_password": "secret"}):
        with pytest.raises(ValueError, match="not both"):
            Server(ssl=context, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"for clients: .*PROTOCOL_TLS_SERVER"):
        Server(ssl=ssl.create_default_context())
    with pytest.raises(TypeError, match=r"must be an ssl\.SSLContext, not True; for files: .*certfile"):
        Server(ssl=True)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"no certificate: Server\(certfile="):
        Server().reload_certificate()
    with pytest.raises(RuntimeError, match=r"context\.load_cert_chain"):
        Server(ssl=context).reload_certificate()


def test_the_url_of_another_protocol() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert Server("localhost", 70, parser_class=UntilTheEnd, ssl=context).url == "tls://localhost:70"


@pytest.fixture
def certificate(pems: Path, tmp_path: Path) -> Pair:
    return Pair(pems, tmp_path)


def test_files_that_change_are_taken(certificate: Pair) -> None:
    first = certificate.tls.context
    assert certificate.look() is first
    certificate.install("cert.pem", "key.pem")
    second = certificate.look()
    assert second is not first
    assert certificate.look() is second
    assert certificate.lines == [f"[INFO] a new certificate is in use: {certificate.certfile}"]


def test_a_broken_pair_keeps_the_old_one_and_warns_once(certificate: Pair) -> None:
    first = certificate.tls.context
    certificate.install("cert.pem")
    for _ in range(3):
        assert certificate.look() is first
    (line,) = certificate.lines
    assert line.startswith("[WARNING] the old certificate stays in use: the key in ")
    certificate.keyfile.unlink()
    assert certificate.look() is first
    assert "there is no file" in certificate.lines[1]
    certificate.install(keyfile="key.pem")
    assert certificate.look() is not first
    assert len(certificate.lines) == 3


def test_the_files_are_looked_at_once_a_second_at_most(
    certificate: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    certificate.look()

    def stat(file: Any, stat: Any = os.stat) -> os.stat_result:
        looks.append(file)
        return stat(file)  # type: ignore[no-any-return]

    monkeypatch.setattr(os, "stat", stat)
    for _ in range(30):
        certificate.look(later=0.1)
    monkeypatch.undo()
    assert len(looks) in (2 * 2, 2 * 3)


def test_a_reload_that_is_asked_for_is_at_once_and_says_what_is_wrong(pems: Path, tmp_path: Path) -> None:
    pair = Pair(pems, tmp_path)
    server = Server(certfile=pair.certfile, keyfile=pair.keyfile)
    assert server.tls is not None
    first = server.tls.context
    server.reload_certificate()
    second = server.tls.context
    assert second is not first
    pair.install("cert.pem")
    with pytest.raises(ValueError, match="is not that of the certificate"):
        server.reload_certificate()
    assert server.tls.context is second

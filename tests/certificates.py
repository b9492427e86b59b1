"""Certificates: made when tests want them, by `openssl`; none is committed, for each would expire one day."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


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


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr

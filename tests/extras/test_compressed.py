"""Compressed files: which coding is sent, with its own tag, and found as safely as any file."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from kissapi.extras.files import static
from kissapi.extras.files.codings import CODINGS, accepted_codings
from tests.extras.public import MOMENT, compressed
from tests.wire import fetch

ACCEPTED = [
    ("gzip", "gzip"),
    ("br", "br"),
    ("zstd", "zstd"),
    ("gzip, deflate, br, zstd", "br"),
    ("gzip, deflate", "gzip"),
    ("gzip;q=1.0, br;q=0.5", "gzip"),
    ("GZIP ; Q=0.5", "gzip"),
    ("x-gzip", "gzip"),
    ("*", "br"),
    ("*;q=0.1, br;q=0", "zstd"),
    ("br;q=0", None),
    ("gzip;q=0.000", None),
    ("*;q=0", None),
    ("identity", None),
    ("identity, gzip;q=0.5", None),
    ("identity;q=0.5, gzip;q=0.5", "gzip"),
    ("gzip;q=nan", None),
    ("gzip;q=", None),
    ("gzip;q=much, zstd", "zstd"),
    ("", None),
    (",,;,", None),
]


def test_the_coding_that_the_client_likes_best(public: Path) -> None:
    compressed(public, ".br", ".zst", ".gz")
    router = static("/", public)
    plain = (public / "app.js").read_bytes()
    for accepted, coding in ACCEPTED:
        status, fields, body = fetch(router, "/app.js", f"Accept-Encoding: {accepted}")
        assert fields.get("content-encoding") == coding, accepted
        assert (status, body) == (200, f"app{CODINGS[coding]}".encode() if coding else plain)
        assert fields["content-type"] == "text/javascript; charset=utf-8"
        assert fields["vary"] == "Accept-Encoding"


def test_each_coding_has_a_tag_of_its_own(public: Path) -> None:
    router = static("/", public)
    compressed(public, ".br", ".gz")
    for ending in (".br", ".gz"):
        (public / f"app.js{ending}").write_bytes((public / "app.js").read_bytes())  # even of one size
        os.utime(public / f"app.js{ending}", (MOMENT, MOMENT))
    tags = [fetch(router, "/app.js", *field)[1]["etag"] for field in ([], ["Accept-Encoding: br"])]
    tags.append(fetch(router, "/app.js", "Accept-Encoding: gzip")[1]["etag"])
    assert len(set(tags)) == 3
    for tag, coding in zip(tags, ("identity", "br", "gzip"), strict=True):
        fields = [f"Accept-Encoding: {coding}", f"If-None-Match: {tag}"]
        status, answered, _ = fetch(router, "/app.js", *fields)
        assert (status, answered["vary"]) == (304, "Accept-Encoding")
        assert "content-encoding" not in answered
        assert fetch(router, "/app.js", f"If-None-Match: {tag}", "Accept-Encoding: zstd, x")[0] == (
            304 if coding == "identity" else 200
        )


def test_a_range_is_one_of_what_is_sent(public: Path) -> None:
    compressed(public, ".gz")
    status, fields, body = fetch(
        static("/", public), "/app.js", "Accept-Encoding: gzip", "Range: bytes=3-", method="GET"
    )
    assert (status, body, fields["content-encoding"]) == (206, b".gz", "gzip")


def test_an_older_one_is_not_of_this_file(public: Path) -> None:
    compressed(public, ".br", age=1)
    compressed(public, ".gz")
    fields = fetch(static("/", public), "/app.js", "Accept-Encoding: br, gzip")[1]
    assert fields["content-encoding"] == "gzip"


def test_tools_that_drop_fractions_of_the_time_are_forgiven(public: Path) -> None:
    compressed(public, ".gz")
    os.utime(public / "app.js", ns=(0, MOMENT * 10**9 + 999_999_999))
    assert "content-encoding" in fetch(static("/", public), "/app.js", "Accept-Encoding: gzip")[1]


def test_a_compressed_one_is_found_as_safely_as_any(public: Path, tmp_path: Path) -> None:
    (public / "app.js.br").mkdir()
    (public / "app.js.zst").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(public / "app.js.gz")
    status, fields, body = fetch(static("/", public), "/app.js", "Accept-Encoding: br, zstd, gzip")
    assert (status, body) == (200, (public / "app.js").read_bytes())
    assert "content-encoding" not in fields


def test_without_its_file_a_compressed_one_is_itself(public: Path) -> None:
    (public / "only.js.gz").write_bytes(gzip.compress(b"only"))
    router = static("/", public)
    assert fetch(router, "/only.js", "Accept-Encoding: gzip")[0] == 404
    fields = fetch(router, "/only.js.gz", "Accept-Encoding: gzip")[1]
    assert fields["content-type"] == "application/gzip"
    assert "content-encoding" not in fields


def test_where_there_is_nothing_to_win_nothing_varies(public: Path) -> None:
    (public / "photo.jpg").write_bytes(b"jpg")
    (public / "photo.jpg.gz").write_bytes(b"gz")
    fields = fetch(static("/", public), "/photo.jpg", "Accept-Encoding: gzip")[1]
    assert not {"vary", "content-encoding"} & fields.keys()
    compressed(public, ".gz")
    fields = fetch(static("/", public, precompressed=False), "/app.js", "Accept-Encoding: gzip")[1]
    assert not {"vary", "content-encoding"} & fields.keys()


def test_codings_of_a_long_field_are_few() -> None:
    assert accepted_codings("gzip," * 10_000) == ("gzip",)

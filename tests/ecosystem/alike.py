"""Alike: the app of tests/extras/asgi answers over ASGI as on kissapi's own server, whatever is between."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kissapi.extras.testing import Client
from tests.ecosystem.site import check
from tests.extras.asgi.notes_app import make_router
from tests.extras.asgi.test_same_answers import OWN, REQUESTS

OF_THE_FILE = ("etag", "last-modified")
Told = tuple[int, Any, bytes]  # status, fields as pairs, body


@contextmanager
def files() -> Iterator[Path]:
    """A folder with what the app sends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.txt").write_text("small")
        (folder / "large.bin").write_bytes(b"0123456789" * 30_000)
        yield folder


def compare(
    name: str, folder: Path, ask: Callable[[str, str, Any, Any], Told], otherwise: tuple[str, ...] = ()
) -> int:
    """Ask both the same; the number of answers. `otherwise` are targets with another answer."""
    wrong, asked = [], 0
    with Client(make_router(folder, [])) as client:
        for method, target, *rest in REQUESTS:
            if target in otherwise:
                continue
            fields = rest[0] if rest else []
            body = rest[1] if rest[1:] else b""
            client.cookies.clear()
            given = body if isinstance(body, bytes) else iter(body)
            own = client.request(method, target, headers=fields, body=given)
            status, lines, data = ask(method, target, fields, body)
            expected = own.status, sort(own.headers.lines()), own.body
            found = status, sort(lines), data
            if target.startswith("/app"):  # it tells the address of the client
                expected, found = expected[:1], found[:1]  # type: ignore[assignment]
            asked += 1
            if found != expected:
                wrong.append(f"{method} {target} {fields}: {found!r:.600}\n    not {expected!r:.600}")
    check(f"{name}: {asked} answers are alike", not wrong, "\n" + "\n".join(wrong))
    return asked


def sort(lines: Any) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in lines if name.lower() not in OWN + OF_THE_FILE)

"""Arguments of handlers from forms: fields and files."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from kissapi import File, Form, Request, Upload
from tests.routing.asked import asked


async def fill(
    req: Request,
    name: Annotated[str, Form()],
    age: Annotated[int | None, Form()] = None,
    tags: Annotated[list[str], Form("tag")] = [],  # noqa: B006
    agree: Annotated[bool, Form()] = False,
) -> list[Any]:
    return [name, age, tags, agree]


def test_fields_of_a_form() -> None:
    answer = asked(fill, method="POST", form={"name": "", "age": "", "tag": ["a", "b"], "agree": "on"})
    assert answer.json == ["", None, ["a", "b"], True]
    answer = asked(fill, method="POST", form={"age": "x"})
    assert answer.json["errors"] == [
        {"field": "name", "detail": "is missing"},
        {"field": "age", "detail": "must be a whole number, not 'x'"},
    ]
    assert asked(fill, method="POST", json={"name": "x"}).status == 415


def test_files_of_a_form() -> None:
    pytest.importorskip("multipart")

    async def add(
        req: Request,
        image: Upload,
        name: Annotated[str, Form()],
        thumb: Annotated[bytes, File("small")] = b"none",
        more: list[Upload] = [],  # noqa: B006
        last: Upload | None = None,
    ) -> list[Any]:
        return [image.filename, image.size, name, thumb.decode(), [each.size for each in more], last]

    files = {"image": ("a.png", b"abc"), "more": [("b", b"b"), ("c", b"cc")]}
    answer = asked(add, method="POST", form={"name": "x"}, files=files)
    assert answer.json == ["a.png", 3, "x", "none", [1, 2], None]
    answer = asked(add, method="POST", form={"name": "x"}, files={"small": b"s"})
    assert answer.json["errors"] == [{"file": "image", "detail": "is missing"}]

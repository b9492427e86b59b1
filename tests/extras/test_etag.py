"""ETag: a client that has the answer gets 304; a change that is based on an old version is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, Request, Response, Router
from kissapi.extras.etag import LARGE, check_match, etag, tag_of
from kissapi.extras.files import file
from tests.wire import fetch

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def serving(result: Any, **options: Any) -> Router:
    router = Router()
    router.around(etag(**options))

    @router.route("/", methods=["GET", "POST"])
    async def handler(req: Request) -> Any:
        return result() if callable(result) else result

    return router


@pytest.mark.parametrize("size", [0, 4, LARGE, LARGE + 1])
@pytest.mark.parametrize("weak", [False, True])
def test_the_second_time_it_is_304(size: int, weak: bool, parser_class: Any) -> None:
    router = serving("x" * size, weak=weak)
    status, fields, body = fetch(router, "/", parser_class=parser_class)
    tag = fields["etag"]
    assert (status, len(body), tag) == (200, size, "W/" * weak + tag_of(b"x" * size))
    for method in ("GET", "HEAD") if size else ("GET",):
        status, known, body = fetch(
            router, "/", f"If-None-Match: {tag}", method=method, parser_class=parser_class
        )
        assert (status, body, known["etag"]) == (304, b"", tag)
        assert known.keys() == {"etag", "date"}


def test_head_has_the_tag_of_get() -> None:
    router = serving({"a": 1})
    assert fetch(router, "/", method="HEAD")[1]["etag"] == fetch(router, "/")[1]["etag"]
    own = Router()
    own.around(etag())

    @own.head("/")
    async def head(req: Request) -> str:
        return ""

    assert "etag" not in fetch(own, "/", method="HEAD")[1]


@pytest.mark.parametrize("tags", ["{}", "W/{}", '"other", {}', "*", 'W/"a" , W/{}'])
def test_how_a_client_names_it(tags: str) -> None:
    router = serving("text")
    assert fetch(router, "/", f"If-None-Match: {tags.format(tag_of(b'text'))}")[0] == 304


@pytest.mark.parametrize("tags", ['"other"', "", tag_of(b"text")[:-1], tag_of(b"text").strip('"')])
def test_other_tags(tags: str) -> None:
    assert fetch(serving("text"), "/", f"If-None-Match: {tags}")[::2] == (200, b"text")


def test_what_stays_with_a_304() -> None:
    there = {
        "cache-control": "max-age=5",
        "vary": "Cookie",
        "set-cookie": "a=b",
        "x-own": "1",
        "content-location": "/x",
        "expires": DATE,
    }
    of_a_body = {"content-language": "en", "last-modified": DATE, "content-type": "text/html"}
    router = serving(Response("text", headers={**there, **of_a_body}))
    _, fields, _ = fetch(router, "/", f"If-None-Match: {tag_of(b'text')}")
    assert fields.keys() == {*there, "etag", "date"}


@pytest.mark.parametrize(
    "result",
    [
        Response("text", 201),
        Response("text", 404),
        Response("text", 206, {"content-range": "bytes 0-3/9"}),
        Response("text", headers={"cache-control": "No-Store"}),
        lambda: iter(["text"]),
        None,
    ],
)
def test_what_has_no_tag(result: Any) -> None:
    assert "etag" not in fetch(serving(result), "/", "If-None-Match: *")[1]


def test_a_post_has_no_tag() -> None:
    status, fields, _ = fetch(serving("text"), "/", "If-None-Match: *", method="POST")
    assert (status, "etag" in fields) == (200, False)


def test_a_handler_may_know_a_cheaper_tag() -> None:
    ended: list[str] = []

    def stream() -> Response:
        async def pieces() -> AsyncIterator[str]:
            try:
                yield "text"
                yield "more"
            finally:
                ended.append("yes")

        return Response(pieces(), headers={"etag": '"7"'})

    router = serving(stream)
    assert fetch(router, "/")[2] == b"textmore"
    status, fields, body = fetch(router, "/", 'If-None-Match: "7"')
    assert (status, fields["etag"], body, ended) == (304, '"7"', b"", ["yes", "yes"])


def test_a_handler_may_know_when_it_changed() -> None:
    router = serving(Response("text", headers={"last-modified": DATE}))
    assert fetch(router, "/", f"If-Modified-Since: {DATE}")[0] == 304
    assert fetch(router, "/", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT")[0] == 200
    assert fetch(router, "/", f"If-Modified-Since: {DATE}", 'If-None-Match: "other"')[0] == 200
    assert fetch(serving("text"), "/", f"If-Modified-Since: {DATE}")[0] == 200


def test_files_do_it_on_their_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    router = serving(lambda: file(tmp_path / "a"))
    _, fields, _ = fetch(router, "/")
    assert "last-modified" in fields
    status, known, _ = fetch(router, "/", f"If-None-Match: {fields['etag']}")
    assert (status, known["etag"]) == (304, fields["etag"])
    assert fetch(router, "/", "Range: bytes=1-2")[2] == b"ex"


def test_a_change_of_an_old_version_is_refused() -> None:
    router = Router()

    @router.put("/")
    async def change(req: Request) -> str:
        check_match(req, '"7"', required="must" in req.query)
        return "changed"

    for fields, status in [
        ([], 200),
        (['If-Match: "7"'], 200),
        (['If-Match: "6", "7"'], 200),
        (["If-Match: *"], 200),
        (['If-Match: "6"'], 412),
        (['If-Match: W/"7"'], 412),  # strong comparison (RFC 9110 §13.1.1)
    ]:
        assert fetch(router, "/", *fields, method="PUT")[0] == status, fields
    assert fetch(router, "/?must", method="PUT")[0] == 428
    with pytest.raises(Fail):
        check_match(Request(headers={"if-match": 'W/"7"'}), 'W/"7"')

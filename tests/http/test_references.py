"""References: a field that holds a URI-reference holds a valid one, whatever it was set to (RFC 3986)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kissapi import Headers, Request, Response, Router, redirect
from tests.wire import Wire, parse_answers

REFERENCES = [
    ("/new", "/new"),
    ("/v/ann lee", "/v/ann%20lee"),
    ("/café", "/caf%C3%A9"),
    ("/😀?q=é#ü", "/%F0%9F%98%80?q=%C3%A9#%C3%BC"),
    ("/a%20b%C3%A9%2f", "/a%20b%C3%A9%2f"),
    ("/50%/100%zz%2", "/50%25/100%25zz%252"),
    ("https://a.org:8000/x?a=1&b=[2]#c", "https://a.org:8000/x?a=1&b=[2]#c"),
    ("http://[::1]:8000/", "http://[::1]:8000/"),
    ("https://müller.example/é", "https://m%C3%BCller.example/%C3%A9"),
    ("!#$%&'()*+,/:;=?@[]-._~", "!#$%25&'()*+,/:;=?@[]-._~"),
    ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ("/\\evil.example", "/%5Cevil.example"),
    ("/\t/evil.example", "/%09/evil.example"),
    ("/\r\nSet-Cookie: evil=1", "/%0D%0ASet-Cookie:%20evil=1"),
    ("/\0\x7f", "/%00%7F"),
    ("/\udcff", "/%FF"),  # a file's name, as the system has it
    (" /x\t", "/x"),
    ("", ""),
]


@pytest.mark.parametrize(("given", "sent"), REFERENCES)
def test_what_cannot_stand_in_one_is_percent_encoded(given: str, sent: str) -> None:
    assert redirect(given).headers["location"] == sent
    assert redirect(sent).headers["location"] == sent
    assert re.fullmatch(r"(?:[]!#$&'()*+,./0-9:;=?@A-Z[_a-z~-]|%[0-9A-Fa-f]{2})*", sent)


@pytest.mark.parametrize("name", ["Location", "content-location"])
def test_it_is_so_however_the_field_is_set(name: str) -> None:
    response = Response("made", 201, {name: "/users/ann lee"})
    assert response.headers[name] == "/users/ann%20lee"
    response.headers[name] = "/é"
    assert response.headers[name] == "/%C3%A9"
    response.headers.add(name, "/ü")
    assert response.headers.get_all(name) == ["/%C3%A9", "/%C3%BC"]
    assert Headers({"x-location": "/a b"})["x-location"] == "/a b"


def test_a_reference_is_text() -> None:
    with pytest.raises(ValueError, match="header location must be a str, not None"):
        redirect(None)  # type: ignore[arg-type]


def test_what_a_client_asks_to_be_sent_to_cannot_split_the_head(parser_class: Any) -> None:
    router = Router()

    @router.get("/to")
    async def to(req: Request) -> Response:
        return redirect(req.query["next"])

    ask = b"GET /to?next=%s HTTP/1.1\r\nHost: a\r\n\r\n"
    wire = Wire(router, parser_class).send(
        ask % b"/ann+lee", ask % b"/%0d%0aSet-Cookie:+a", ask % b"%C3%A9%00"
    )
    answers = [(status, fields["location"]) for status, fields, _ in parse_answers(wire.received)]
    assert answers == [(302, "/ann%20lee"), (302, "/%0D%0ASet-Cookie:%20a"), (302, "%C3%A9%00")]
    assert b"\r\nset-cookie" not in wire.received.lower()

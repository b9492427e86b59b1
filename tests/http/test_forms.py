"""Forms: fields and files of a body, whole and in any pieces, of both parsers; whatever is wrong is a 400."""

from __future__ import annotations

import gc
import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from kissapi import Fail, Request, Router
from kissapi.extras.testing import Client
from kissapi.http.files import SPOOL, File, safe_name
from kissapi.http.forms import read_form
from kissapi.http.limits import Limits
from tests.wire import Wire, parse_answers, split

router = Router()


@router.post("/form")
async def form(req: Request) -> Any:
    files = {
        name: [[each.filename, each.content_type, each.size, each.read().decode()] for each in all_of]
        for name, all_of in req.files_all.items()
    }
    return {"form": req.form_all, "files": files}


@router.post("/first")
async def first(req: Request) -> Any:
    return [req.form["name"], req.files["image"].filename, req.form.get("count", 1, int)]


@router.post("/parts", stream=True)
async def parts(req: Request) -> Any:
    form: dict[str, list[str]] = {}
    files: dict[str, list[Any]] = {}
    async for part in req.parts():
        if part.filename is None:
            form.setdefault(part.name, []).append(await part.text())
        else:
            data = (await part.read()).decode()
            files.setdefault(part.name, []).append([part.filename, part.content_type, part.size, data])
    return {"form": form, "files": files}


@router.post("/streamed", stream=True)
async def streamed(req: Request) -> Any:
    return req.form["name"]


def message(body: bytes, path: str = "/form", kind: str = "multipart/form-data; boundary=b") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def part(name: str, data: str, *more: str) -> bytes:
    fields = "".join(f"\r\n{line}" for line in more[1:])
    head = f"--b\r\nContent-Disposition: form-data; name={name}{''.join(more[:1])}{fields}"
    return f"{head}\r\n\r\n{data}\r\n".encode()


GOOD = (
    part('"name"', "ann")
    + part('"name"', "é\r\n--ab")
    + part('"empty"', "")
    + part('"image"', "PNG\r\n\r\n--", '; filename="../a b.png"', "Content-Type: image/png")
    + part('"image"', "", '; filename="two"')
    + part('"none"', "", '; filename=""', "Content-Type: application/octet-stream")
    + part("bare", "7", "", "Content-Length: 1")
    + b"--b--\r\n"
)
READ = {
    "form": {"name": ["ann", "é\r\n--ab"], "empty": [""], "bare": ["7"]},
    "files": {
        "image": [
            ["a b.png", "image/png", 9, "PNG\r\n\r\n--"],
            ["two", "application/octet-stream", 0, ""],
        ]
    },
}


@pytest.mark.parametrize("path", ["/form", "/parts"])
def test_a_multipart_form_however_it_comes(path: str, parser_class: Any) -> None:
    expected = READ
    if path == "/parts":  # there an empty file is for the handler to see
        files = {**READ["files"], "none": [["unnamed", "application/octet-stream", 0, ""]]}
        expected = {"form": READ["form"], "files": files}
    for chunks in split(message(GOOD, path)):
        wire = Wire(router, parser_class).send(*chunks)
        [(status, _, body)] = parse_answers(wire.received)
        assert status == 200, body
        assert Client(router).post("/form", body=b"").status == 200
        assert json.loads(body) == expected


def test_an_urlencoded_form(parser_class: Any) -> None:
    kind = "Application/X-WWW-Form-URLencoded ; charset=UTF-8"
    for chunks in split(message(b"name=ann+lee&name=%C3%A9&flag", kind=kind)):
        [(status, _, body)] = parse_answers(Wire(router, parser_class).send(*chunks).received)
        assert (status, body) == (
            200,
            b'{"form":{"name":["ann lee","\\u00e9"],"flag":[""]},"files":{}}',
        )


def test_what_is_missing_answers_400() -> None:
    client = Client(router)
    image = {"image": ("a.png", b"x", "image/png")}
    assert client.post("/first", form={"name": "ann"}, files=image).json == ["ann", "a.png", 1]
    for answer, says in [
        (client.post("/first"), "the form has no 'name'"),
        (client.post("/first", form={}), "the form has no 'name'"),
        (client.post("/first", files=image), "the form has no 'name'"),
        (client.post("/first", form={"name": "ann"}), "the form has no file 'image'"),
        (
            client.post("/first", form={"name": "a"}, files={"image": ("", b"")}),
            "the form has no file 'image'",
        ),
        (
            client.post("/first", form={"name": "a", "count": "x"}, files=image),
            "'count' of the form must be a whole number, not 'x'",
        ),
    ]:
        assert (answer.status, answer.text) == (400, says)


def test_another_content_type_is_a_415_that_says_what_to_do() -> None:
    client = Client(router)
    for path, hint in [
        ("/form", "curl -F name=value, or curl -d name=value"),
        ("/parts", "curl -F name=value"),
    ]:
        answer = client.post(path, json={"a": 1})
        assert answer.status == 415
        assert answer.text.startswith("Unsupported Media Type: the body must be multipart/form-data")
        assert answer.text.endswith(f"not application/json; {hint}")
    answer = client.post("/form", body=b"x")
    assert (answer.status, "and has no Content-Type" in answer.text) == (415, True)


def test_a_streamed_route_has_no_form() -> None:
    client = Client(router)
    assert client.post("/streamed", form={"name": "x"}).status == 500
    assert "for a form `async for part in req.parts()`" in "\n".join(client.log)


A = b'--b\r\nContent-Disposition: form-data; name="a"\r\n'
FAULTS = [
    b"",
    b"--b",
    b"--b--x",  # what is behind the last boundary is no part of it
    b"nothing of the kind",
    A,
    A + b"\r\nx",
    A + b"\r\nx\r\n--b",
    A + b"\r\nx\r\n--b-",
    A + b"\r\nx\r\n--bx",
    A + b"\r\nx\r\n--b\r\n",
    A + b"\r\nx\r\n--b\n",
    b"x" + A + b"\r\nx\r\n--b--",
    b"--b\nContent-Disposition: form-data; name=a\n\nx\n--b--",
    b"--b\r\n\r\nx\r\n--b--",
    b"--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--",
    b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
    b'--b\r\nContent-Disposition: form-data; name=""\r\n\r\nx\r\n--b--',
    b"--b\r\nContent-Disposition: form-data; filename=x\r\n\r\nx\r\n--b--",
    b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--",
    A + b"no colon\r\n\r\nx\r\n--b--",
    A + b"bad name: x\r\n\r\nx\r\n--b--",
    A + b"X: \xff\r\n\r\nx\r\n--b--",
    A + b" \r\n\r\nx\r\n--b--",
    b"--b\r\n folded: x\r\n\r\nx\r\n--b--",
    A + b"Content-Length: 2\r\n\r\nx\r\n--b--",
    A + b"Content-Length: 0\r\n\r\nx\r\n--b--",
    A + b"Content-Length: x\r\n\r\nx\r\n--b--",
    A + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx\r\n--b--",
    A + b"X: y\r\n" * 9 + b"\r\nx\r\n--b--",
    A + b"X: " + b"y" * 5000 + b"\r\n\r\nx\r\n--b--",
    A + b"X" * 5000,
    A + b"Content-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--",
    A + b"\r\n\xff\r\n--b--",
    A + b":empty\r\n\r\nx\r\n--b--",
    A + b"a\0b: x\r\n\r\nx\r\n--b--",
    A + b"a\rb: x\r\n\r\nx\r\n--b--",
    A + b"a\nb: x\r\n\r\nx\r\n--b--",
    A + "ö: x\r\n\r\nx\r\n--b--".encode(),
    A + b"X: " + b"y" * 4000 + b"\r\n " + b"z" * 4000 + b"\r\n\r\nx\r\n--b--",
    A + b"Content-Length: -1\r\n\r\nx\r\n--b--",
    A + "Content-Length: ١\r\n\r\nx\r\n--b--".encode(),
    A + b"x: y\r\n--b--",
    b"--b\r\nContent-Disposition: form-data; name=\r\n\r\nx\r\n--b--",
    b"--b\r\nContent-Disposition\r\n\r\nx\r\n--b--",
]


@pytest.mark.parametrize("path", ["/form", "/parts"])
@pytest.mark.parametrize("body", FAULTS, ids=lambda body: repr(body[-40:]))
def test_every_fault_is_a_400(body: bytes, path: str, parser_class: Any) -> None:
    good = body == b"--b--x"
    for chunks in split(message(body, path)) if len(body) < 1000 else [[message(body, path)]]:
        wire = Wire(router, parser_class).send(*chunks)
        [(status, _, text)] = parse_answers(wire.received)
        assert status == (200 if good else 400), text
        assert good or text.startswith(b"Bad Request: "), text


@pytest.mark.parametrize("path", ["/form", "/parts"])
def test_every_beginning_of_a_form_is_a_400(path: str) -> None:
    for size in range(len(GOOD) - 4):
        wire = Wire(router).send(message(GOOD[:size], path))
        assert parse_answers(wire.received)[0][0] == 400, GOOD[:size]


def read(body: bytes) -> Any:
    try:
        fields = read_form("multipart/form-data; boundary=b", body, Limits())
    except Fail as error:
        return error.status
    files = {name: [[each.filename, each.read()] for each in all_of] for name, all_of in fields.files.items()}
    return fields.form, files


def test_whatever_is_sent_is_a_form_or_a_400() -> None:
    dice = random.Random(7)
    tokens = [b"\r\n", b"--b", b"--", b"\r", b"\n", b'"', b";", b"%", b"\xff", b"\0", b"=", b":", b" ", b"\\"]
    tokens += [b"filename=", b"filename*=", b"Content-Length: 1\r\n", b"", b"", b""]
    seen = []
    for _ in range(3000):
        body = bytearray(GOOD)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(body))
            body[at : at + dice.randrange(4)] = dice.choice(tokens)
        seen.append(read(bytes(body)))
    assert {each for each in seen if isinstance(each, int)} == {400}
    assert len([each for each in seen if each != 400]) > 100


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 71,
        'multipart/form-data; boundary="é"',
        'multipart/form-data; boundary="a\tb"',
    ],
)
def test_a_boundary_must_be_there(kind: str, parser_class: Any) -> None:
    for path in ("/form", "/parts"):
        answer = Client(router, parser_class=parser_class).post(
            path, body=GOOD, headers={"content-type": kind.encode().decode("latin-1")}
        )
        assert answer.status == 400
        assert "boundary of 1 to 70" in answer.text


LIMITS = [
    ({"max_parts": 2}, 400, "a form may have 2 parts"),
    ({"max_field": 4}, 413, "a field of a form may have 4 bytes"),
    ({"max_field_name": 4}, 400, "a name of 4 characters"),
    ({"max_body": 50}, 413, "a body may have 50 bytes"),
]


@pytest.mark.parametrize("path", ["/form", "/parts"])
@pytest.mark.parametrize(("limits", "status", "says"), LIMITS)
def test_limits(limits: dict[str, int], status: int, says: str, path: str, parser_class: Any) -> None:
    for chunks in split(message(GOOD, path)):
        wire = Wire(router, parser_class, **limits).send(*chunks)
        [(answered, _, text)] = parse_answers(wire.received)
        assert (answered, says in text.decode()) == (status, True), text
    if "max_parts" not in limits:
        for fields in (b"name=ann&longer=longer&", b"name=%C3%A9%C3%A9%C3%A9&longer=1&" + b"x" * 20 + b"&"):
            body = message(fields + b"x=y&" * 10, kind="application/x-www-form-urlencoded")
            [(answered, _, text)] = parse_answers(Wire(router, parser_class, **limits).send(body).received)
            assert (answered, says in text.decode()) == (status, True), text


NAMES = [
    ("a.png", "a.png"),
    ("../../etc/passwd", "passwd"),
    ("C:\\fakepath\\cv.pdf", "cv.pdf"),
    ("..", "unnamed"),
    (".htaccess", "htaccess"),
    ("a/", "unnamed"),
    ("a\0b\r\nc.txt", "a_b__c.txt"),
    ("nul.txt", "_nul.txt"),
    ("CON", "_CON"),
    ("conny", "conny"),
    ("x" * 300 + ".tar", "x" * 196 + ".tar"),
    ("é" * 300, "é" * 100),
    ("été à l'ombre.jpg", "été à l'ombre.jpg"),
    ("evil\u202egpj.exe", "evil_gpj.exe"),
    ("a. . ", "a"),
    ("x:y", "x_y"),
    ("", "unnamed"),
]


@pytest.mark.parametrize(("name", "safe"), NAMES)
def test_a_file_name_is_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert safe_name(safe) == safe
    assert len(safe.encode()) <= 200


DISPOSITIONS = [
    ("; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
    ("; filename=\"x\"; filename*=UTF-8'en'a%20b", "a b"),
    ("; filename*=utf-8''..%2f..%2fetc%2fpasswd", "passwd"),
    ("; filename*=utf-8''%0d%0aSet-Cookie%3a", "__Set-Cookie_"),
]


@pytest.mark.parametrize("path", ["/form", "/parts"])
@pytest.mark.parametrize(("more", "name"), DISPOSITIONS)
def test_a_name_in_the_way_of_old_libraries_makes_a_file(more: str, name: str, path: str) -> None:
    kind = {"content-type": "multipart/form-data; boundary=b"}
    body = part('"image"', "PNG", more) + b"--b--"
    answer = Client(router).post(path, body=body, headers=kind).json
    assert answer == {"form": {}, "files": {"image": [[name, "application/octet-stream", 3, "PNG"]]}}
    answer = Client(router).post(path, body=body.replace(more[-3:].encode(), b"%ff"), headers=kind)
    assert (answer.status, answer.text) == (400, "Bad Request: the name of the file 'image' is not UTF-8")


def test_the_answer_to_a_fault_has_no_innards() -> None:
    body = part('"é"', "x").replace("é".encode(), b"\xe9") + b"--b--"
    answer = Client(router).post(
        "/form", body=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    fault = "the body is no multipart/form-data: Segment header failed to decode"
    assert (answer.status, answer.text) == (400, f"Bad Request: {fault}")


def test_half_a_file_is_removed_and_a_device_is_not(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError("the disk is gone")
            return super().read(size)

    file = File("a", "text/plain", Broken(bytes(SPOOL + 1)), SPOOL + 1)
    device = tmp_path / "null"
    device.symlink_to("/dev/null")
    for path in (tmp_path / "a", device):
        with pytest.raises(OSError, match="the disk is gone"):
            file.save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["null"]


def test_a_large_file_is_not_copied(tmp_path: Path) -> None:
    data = b"0123456789abcdef" * (SPOOL // 8)
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + data + b"\r\n--b--"
    file = read_form("multipart/form-data; boundary=b", body, Limits()).files["f"][0]
    assert isinstance(file._data, memoryview)
    assert file._data.obj is body
    assert (file.size, file.read() == data, repr(file)) == (len(data), True, file_repr(len(data)))
    file.save(tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == data
    small = File("a", "text/plain", b"x", 1)
    small.save(tmp_path / "g")
    assert (tmp_path / "g").read_bytes() == b"x"


def file_repr(size: int) -> str:
    return f"<File 'f' application/octet-stream {size} bytes>"


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "multipart", None)
    client = Client(router)
    assert client.post("/form", files={"a": b"x"}).status == 500
    assert "pip install 'kissapi[forms]'" in "\n".join(client.log)
    assert client.post("/form", form={"a": "x"}).status == 200
    gc.collect()

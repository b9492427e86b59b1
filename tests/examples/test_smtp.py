"""The sink for mails, examples/smtp.py: byte for byte, and by smtplib on every loop."""

from __future__ import annotations

import smtplib

import pytest

from examples import smtp
from examples.smtp import Command, Mail, SmtpParser, inbox, router
from tests.serving import THREE, make, running
from tests.wire import Wire, split

GREETING = b"220 localhost takes mails\r\n"


@pytest.fixture(autouse=True)
def _empty() -> None:
    inbox.clear()


def wire_to(**limits: float) -> Wire:
    return Wire(router, SmtpParser, Command, **limits)


SESSION = (
    b"EHLO me\r\nNOOP\r\nMAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<c@d>\r\nrcpt to: <e@f>\r\nDATA\r\n"
    b"Subject: x\r\n\r\n..dots\r\n...\r\n.x\r\nbare\n.\nlines\r\n.\r\n"
    b"MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\nQUIT\r\nNOOP\r\n"
)
ANSWERS = (
    b"250-localhost\r\n250-PIPELINING\r\n250 8BITMIME\r\n" + b"250 OK\r\n" * 4
    + b"354 End it with a line that is a dot\r\n250 OK: 42 bytes\r\n" + b"250 OK\r\n" * 2
    + b"354 End it with a line that is a dot\r\n250 OK: 0 bytes\r\n221 Bye\r\n"
)  # fmt: skip


@pytest.mark.parametrize("way", range(4))
def test_a_session(way: int) -> None:
    wire = wire_to()
    assert wire.received == GREETING
    wire.send(*split(SESSION)[way])
    assert wire.received == GREETING + ANSWERS
    assert wire.closed
    assert list(inbox) == [
        Mail("a@b", ("c@d", "e@f"), b"Subject: x\r\n\r\n.dots\r\n..\r\nx\r\nbare\n.\nlines\r\n"),
        Mail("", ("c@d",), b""),
    ]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"FLY", b"502 Not Found"),
        (b".", b"502 Method Not Allowed"),  # it delivers a mail behind DATA alone
        (b"%2E", b"502 Method Not Allowed"),
        (b"DATA", b"503 RCPT comes first"),
        (b"RCPT TO:<a@b>", b"503 MAIL comes first"),
        (b"MAIL FROM:a", b"501 write FROM:<name@domain>"),
        (b"MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>", b"250 OK\r\n503 one mail at a time"),
        (b"MAIL FROM:<a@b>\r\nRSET\r\nMAIL FROM:<a@b>", b"250 OK\r\n250 OK\r\n250 OK"),
        (b"NOOP \xff", b"500 ASCII only"),
        (b"", b"502 Not Found"),
    ],
)
def test_what_is_wrong_is_answered_and_the_connection_goes_on(said: bytes, answer: bytes) -> None:
    wire = wire_to().send(said + b"\r\nNOOP\r\n")
    assert wire.received == GREETING + answer + b"\r\n250 OK\r\n"
    assert not wire.closed


def test_what_has_no_end_ends_the_connection() -> None:
    wire = wire_to().send(b"x" * 1001)
    assert wire.received == GREETING + b"500 Line too long\r\n"
    assert wire.closed
    wire = wire_to(max_head=1000, max_body=1000).send(b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n")
    wire.send(b"x" * 1500).send(b"x" * 1500)
    assert wire.received.endswith(b"552 Content Too Large: a message may have 2000 bytes\r\n")
    assert wire.closed


def test_a_long_mail_is_not_searched_anew_for_each_piece() -> None:
    wire = wire_to().send(b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n")
    wire.send(*[b"x" * 65536] * 100, b"\r\n.\r\n")
    assert len(inbox[0].text) == 65536 * 100 + 2


def test_a_client_is_told_when_the_server_stops() -> None:
    wire = wire_to(idle_timeout=1).wait(200)  # RFC 5321 has more patience
    wire.loop.do(wire.service.stop)
    assert wire.received == GREETING + b"421 localhost stops\r\n"
    assert wire.wait(1).closed


@pytest.mark.parametrize("loop", THREE)
def test_smtplib(loop: str) -> None:
    server = make(loop, router, parser_class=SmtpParser, request_class=Command)
    with running(server), smtplib.SMTP("127.0.0.1", server.port, timeout=5) as client:
        text = "Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n" + "a line of a mail\r\n" * 20_000
        assert client.sendmail("a@b", ["c@d", "e@f"], text) == {}
        assert client.noop() == (250, b"OK")
        everyone = [f"{number}@d" for number in range(101)]
        assert client.sendmail("a@b", everyone, "to all\r\n") == {"100@d": (452, b"too many recipients")}
        assert client.sendmail("a@b", ["c@d"], "again\r\n") == {}
    assert [mail.text for mail in inbox] == [text.encode(), b"to all\r\n", b"again\r\n"]
    assert inbox[0][:2] == ("a@b", ("c@d", "e@f"))
    assert smtp.server.port == 8000

r"""SMTP for a sink of mails: smtplib's `SMTP("localhost", 8000)` delivers to it. The server speaks first.

$ printf 'HELO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nHi\r\n.\r\nQUIT\r\n' | nc -N localhost 8000
220 localhost takes mails
250 localhost
250 OK
250 OK
354 End it with a line that is a dot
250 OK: 4 bytes
221 Bye
"""

import re
from collections import deque
from typing import NamedTuple

from kissapi import Fail, Link, Request, Response, Router, Server

# What kissapi says, in the words of SMTP.
STATUS = {200: 250, 400: 501, 404: 502, 405: 502, 408: 421, 413: 552}


class Session(Link):
    idle_timeout = 300  # RFC 5321 §4.5.3.2.7
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    in_data = False  # the next message is a mail

    def stopping(self) -> None:
        self.push("421 localhost stops")


class Command(Request):
    link: Session
    argument = ""


class SmtpParser:
    """A message is a line; behind DATA it is a mail, up to a line that is a dot."""

    link_class = Session
    unread = b""

    def __init__(self, command: Command) -> None:
        self.command, self.held, self.finished = command, bytearray(), False

    def greeting(self) -> bytes:
        return b"220 localhost takes mails\r\n"

    def feed_data(self, data: bytes) -> None:
        in_data = self.command.link.in_data
        end = b"\r\n.\r\n" if in_data else b"\r\n"
        if in_data and not self.held:
            self.held += b"\r\n"  # so that a mail may be empty
        start = max(0, len(self.held) - len(end))  # the end may have begun in an earlier piece
        self.held += data
        at = self.held.find(end, start)
        if at < 0:
            if not in_data and len(self.held) > 1000:
                raise Fail(500, "Line too long")  # its end is not known: this ends the connection
            return
        message, self.unread = bytes(self.held[:at]), bytes(self.held[at + len(end) :])
        # A mail has a method that no command has: a client that sends the line "." gets none delivered.
        self.finished, self.command.method = True, "MAIL" if in_data else "SMTP"
        if in_data:
            self.command.path = "/."
            self.command.body = (message.replace(b"\r\n.", b"\r\n") + b"\r\n")[2:]  # RFC 5321 §4.5.2
            return
        if not message.isascii():
            raise Fail(500, "ASCII only")  # the line is complete: the connection goes on
        verb, _, self.command.argument = message.decode().partition(" ")
        self.command.path = f"/{verb.lower()}"

    def should_keep_alive(self) -> bool:
        return self.command.path != "/quit"

    def encode(self, response: Response) -> bytes:
        assert isinstance(response.body, bytes)
        status = STATUS.get(response.status, response.status)
        first, *rest = reversed(response.body.split(b"\n"))
        lines = [b"%d %b\r\n" % (status, first), *(b"%d-%b\r\n" % (status, line) for line in rest)]
        return b"".join(reversed(lines))

    def encode_piece(self, text: str) -> bytes:
        return text.encode() + b"\r\n"


class Mail(NamedTuple):
    sender: str
    recipients: tuple[str, ...]
    text: bytes


router = Router()
inbox = deque[Mail](maxlen=1000)  # when it is full, the oldest goes


def address(command: Command, word: str) -> str:
    found = re.match(rf"{word}:\s?<([^<> ]*)>", command.argument, re.IGNORECASE)
    if found is None:
        raise Fail(501, f"write {word}:<name@domain>")
    return found[1]


@router.route("/helo", ["SMTP"])
async def helo(command: Command) -> str:
    await reset(command)
    return "localhost"


@router.route("/ehlo", ["SMTP"])
async def ehlo(command: Command) -> str:
    await reset(command)
    return "localhost\nPIPELINING\n8BITMIME"


@router.route("/mail", ["SMTP"])
async def mail(command: Command) -> str:
    if command.link.sender is not None:
        raise Fail(503, "one mail at a time")
    command.link.sender = address(command, "FROM")
    return "OK"


@router.route("/rcpt", ["SMTP"])
async def recipient(command: Command) -> str:
    if command.link.sender is None:
        raise Fail(503, "MAIL comes first")
    if len(command.link.recipients) == 100:
        raise Fail(452, "too many recipients")
    command.link.recipients += (address(command, "TO"),)
    return "OK"


@router.route("/data", ["SMTP"])
async def data(command: Command) -> Response:
    if not command.link.recipients:
        raise Fail(503, "RCPT comes first")
    command.link.in_data = True
    return Response("End it with a line that is a dot", 354)


@router.route("/.", ["MAIL"])
async def deliver(command: Command) -> str:
    session = command.link
    inbox.append(Mail(session.sender or "", session.recipients, command.body))
    await reset(command)
    return f"OK: {len(command.body)} bytes"


@router.route("/rset", ["SMTP"])
async def reset(command: Command) -> str:
    session = command.link
    session.sender, session.recipients, session.in_data = None, (), False
    return "OK"


@router.route("/noop", ["SMTP"])
async def noop(command: Command) -> str:
    return "OK"


@router.route("/quit", ["SMTP"])
async def leave(command: Command) -> Response:
    return Response("Bye", 221)


server = Server(router=router, parser_class=SmtpParser, request_class=Command)

if __name__ == "__main__":
    server.loop()

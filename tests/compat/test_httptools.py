"""The stand-in and the real httptools side by side: same calls, same verdict, in every split of each case."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import pytest

from kissapi.compat import httptools as standin

try:
    import httptools as real
except ImportError:
    real = None  # type: ignore[assignment,unused-ignore]

MODULES = [module for module in (real, standin) if module is not None]
needs_real = pytest.mark.skipif(real is None, reason="httptools is not installed: nothing to compare with")

LINE = b"GET / HTTP/1.1\r\n"
OLD = b"GET / HTTP/1.0\r\n"
NEXT = b"GET /next HTTP/1.1\r\n\r\n"
CODED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Upgrade: x\r\nConnection: upgrade\r\n\r\n"
END = b"\r\n\r\n"


class Log:
    """Every callback of httptools, with what the parser says of the request when its head and body are over.

    Pieces of url and body are joined: where they are cut is not part of the promise.
    """

    def __init__(self, module: Any) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.body_refused = False  # by the stand-in, which reads heads only
        self.parser = module.HttpRequestParser(self)

    def _join(self, name: str, piece: bytes) -> None:
        if self.events and self.events[-1][0] == name:
            piece = self.events.pop()[1] + piece
        self.events.append((name, piece))

    def _says(self) -> tuple[Any, ...]:
        it = self.parser
        return it.get_method(), it.get_http_version(), it.should_keep_alive(), it.should_upgrade()

    def on_message_begin(self) -> None:
        self.in_head = True
        self.events.append(("begin",))

    def on_url(self, url: bytes) -> None:
        self._join("url", url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:  # a trailer: the stand-in cuts the blanks behind it
            value = value.rstrip(b"\t ")
        self.events.append(("header", name, value))

    def on_headers_complete(self) -> None:
        self.in_head = False
        self.events.append(("headers complete", *self._says()))

    def on_body(self, body: bytes) -> None:
        self._join("body", body)

    def on_message_complete(self) -> None:
        self.events.append(("complete", *self._says()))

    def on_chunk_header(self) -> None:
        self.events.append(("chunk",))

    def on_chunk_complete(self) -> None:
        self.events.append(("chunk complete",))

    def run(self, pieces: list[bytes]) -> tuple[str, int]:
        """Feeds until something is raised; the verdict, and the bytes fed by then (-1: all)."""
        fed = 0
        for piece in pieces:
            try:
                self.parser.feed_data(piece)
            except Exception as error:
                if type(error).__name__ == "HttpParserUpgrade":
                    return f"upgrade at {fed + error.args[0]}", -1
                self.body_refused = "heads only" in str(error)
                return type(error).__name__, fed + len(piece)
            fed += len(piece)
        return "fine", -1


def splits(data: bytes, seed: int = 0) -> list[list[bytes]]:
    """Whole, byte by byte, the last byte alone, and three at random."""
    dice = random.Random(data + bytes([seed]))
    ways = [[data], [data[i : i + 1] for i in range(len(data))], [data[:-1], data[-1:]]]
    for _ in range(3):
        cuts = sorted(dice.choices(range(len(data) + 1), k=dice.randint(1, 5)))
        ways.append([data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])
    return ways


def told(log: Log) -> list[tuple[Any, ...]]:
    """The events due in every split: fields only once their head is over, trailers once their message is."""
    names = [event[0] for event in log.events]
    if "begin" not in names or names[-1] == "complete":
        return log.events
    last = len(names) - 1 - names[::-1].index("begin")
    if "headers complete" not in names[last:]:
        return log.events[:last]
    head = names.index("headers complete", last) + 1
    return [*log.events[:head], *(event for event in log.events[head:] if event[0] != "header")]


# fmt: off
# Everything here is decided alike, with the same kind of error, at the same byte or before it.
ALIKE = [
    b"",
    b"\r\n\r\n",
    LINE + b"\r\n",
    b"\r\n\r\n" + LINE + b"\r\n" + END + NEXT,
    LINE + b"Host: a\r\nAccept: */*" + END,
    OLD + b"\r\n",
    b"GET   /   HTTP/1.1" + END,
    *(method + b" / HTTP/1.1" + END for method in standin.METHODS),
    *(b"GET %s HTTP/1.1" % t + END for t in (
        b"*", b"*a", b"a", b"http:", b"http:/", b"http://", b"http://a", b"http://a/b", b"http://a?b",
        b"http://a#b",
        b"http://a@b", b"http://a@@b", b"http://a@b@c", b"http://[::1]:80/", b"ht-tp://a/", b"h1://a/",
        b"//a",
        b"/a?b?c#d#e", b"?a", b"#a", b"http://?a", b"http:///", b"a:b", b'http://a"/', b"http://a\x80/",
    )),
    *(b"CONNECT %s HTTP/1.1" % t + END + b"rest" for t in (
        b"a:1", b"a", b"/", b"*", b"http://a/", b"a:1/b", b"[::1]:5", b"-", b"a@b:1", b"@@", b"a?b",
        b"a#b", b":1", b"?",
    )),
    *(method + b" / HTTP/1.1" + END for method in (b"get", b"G", b"XYZ", b"GETT", b"GE", b"PUTA",
    b"UPDATE", b"")),
    b"GET\t/ HTTP/1.1" + END,
    b" GET / HTTP/1.1" + END,
    b"GET" + END,
    b"HTTP/1.1 200 OK" + END,
    *(b"GET / %s" % v + END for v in (
        b"HTTP/1.0", b"HTTP/1.1", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"HTTP/11.1", b"HTTP/1.11",
        b"HTTP/1",
        b"HTTP/.1", b"http/1.1", b"HTPP/1.1", b"HTTP/a.1", b"HTTP/1.a", b"HTTP/1,1", b"HTTP/1.1 ", b"",
        b"X",
    )),
    b"GET / HTTP/1.1\n\n",
    b"GET / HTTP/1.1\r\r\n",
    b"GET / HTTP/1.1\r\n\n",
    *(LINE + field + END for field in (
        b"A:b", b"A:", b"A: ", b"A: \t ", b"A:  \t b \t ", b"A: b\x80\xff", b"A!#$%&'*+-.^_`|~: b",
        b"0: 1", b"A: b: c",
        b"A : b", b"A\t: b", b"A b: c", b": b", b" A: b", b"\tA: b", b"A", b"A: b\r\n c", b"A: b\r\n\tc",
        b"A:\r\n b",
        b"A: b\rX", b"A: b\r\r", b"A: b\nC: d", b"A:\nC: d", b"A:\rX", b"A: b\r\nC: d\n", b"A: b\r\n\rX",
        b"A: b\r\n\n",
        b"Content-Lengt: x", b"Content-Lengthy: x", b"Transfer-Encodin: x", b"Connectio : x",
        b"Connection : x",
        b"Content: x", b"T: x", b"Content-Length : 5", b"Transfer-Encoding : chunked",
    )),
    *(LINE + b"Content-Length:" + value + END + b"hello" for value in (
        b"5", b" 5", b" 5 ", b" 5 \t", b"\t5", b"", b" ", b"+5", b"-5", b"5,5", b"5, 5", b"5 5", b"0x5",
        b"05", b"5a",
        b"0" * 40 + b"5", b"18446744073709551616", b"00018446744073709551616", b"99999999999999999999",
        b"1" + b"0" * 30, b"5\x00", b"\x0b5", b"\xb2", b"18446744073709551615",
    )),
    LINE + b"content-length: 5" + END + b"hello" + NEXT,
    LINE + b"Content-Length: 0" + END + NEXT,
    LINE + b"Content-Length: 5\r\nContent-Length: 5" + END + b"hello",
    LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked" + END,
    LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 5" + END,
    LINE + b"Transfer-Encoding: gzip\r\nContent-Length: 5" + END,
    *(LINE + b"Transfer-Encoding:" + value + END + b"0" + END for value in (
        b"chunked", b" Chunked", b"CHUNKED ", b"chunked\t", b"\tchunked", b"", b" ", b"identity", b"gzip",
        b"gzip, chunked", b"gzip ,chunked", b"gzip chunked", b"chunked, gzip", b"chunked,chunked",
        b"chunked,",
        b",chunked", b"xchunked", b"chunkedx", b"chunked;q=1", b"chunked x", b"gzip;a=b, chunked",
        b"chunke",
        b"gz\x80,chunked", b"gzip,\tchunked", b"chunked ,gzip", b"chunked x,chunked", b"chunked \t",
        b"chunked\x01",
    )),
    LINE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + END + b"0" + END,
    LINE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: " + END + b"0" + END,
    LINE + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked" + END + b"0" + END,
    OLD + b"Transfer-Encoding: chunked" + END + b"0" + END,
    *(line + b"Connection:" + value + END + NEXT for line in (LINE, OLD,
    b"GET / HTTP/2.0\r\n") for value in (
        b"close", b" close ", b"keep-alive", b"Keep-Alive", b"closed", b"close, x", b"x, close",
        b"x close", b"close x",
        b"keep-alive, close", b"close,keep-alive", b"upgrade", b"", b",close", b"close,", b"close;q",
        b"\tclose",
        b"x,\tclose", b"close\t,x", b"close\t", b"xclose,close", b"CLOSE",
    )),
    LINE + b"Connection: close\r\nConnection: keep-alive" + END + NEXT,
    OLD + b"Connection: close\r\nConnection: keep-alive" + END + NEXT,
    LINE + b"Proxy-Connection: close" + END + NEXT,
    LINE + b"Keep-Alive: close" + END + NEXT,
    OLD + b"\r\n" + NEXT,
    OLD + b"\r\n\r\n\n\r",
    OLD + b"Content-Length: 2" + END + b"hiX",
    LINE + b"Connection: close\r\nTransfer-Encoding: chunked" + END + b"0" + END + b"X",
    LINE + UPGRADE + b"rest",
    LINE + UPGRADE,
    OLD + UPGRADE + b"rest",
    LINE + b"Upgrade: x" + END + NEXT,
    LINE + b"Upgrade:\r\nConnection: upgrade" + END + NEXT,
    LINE + b"Content-Length: 4\r\n" + UPGRADE + b"rest",
    LINE + b"Transfer-Encoding: chunked\r\n" + UPGRADE + b"rest",
    LINE + b"Upgrade: x\r\nConnection: close, upgrade" + END + b"rest",
    LINE + b"\r\n" + LINE + UPGRADE + b"rest",
    b"POST / HTTP/1.1" + END + NEXT,
    b"POST / HTTP/1.1\r\nContent-Length: 3" + END + b"abc" + NEXT * 3,
    LINE + b"\r\nX",
    LINE + b"\r\n" + LINE + b"A : b",
    CODED + b"5\r\nhello\r\n6;a=b;c=\"d \\\" e\";x\r\n world\r\n0" + END + NEXT,
    CODED + b"0;a\r\nA: b\r\nC:d" + END + CODED + b"1\r\nx\r\n000" + END,
    *(CODED + b"1\r\nx\r\n" + wrong for wrong in (
        b"5 \r\n", b" 5\r\n", b"+5\r\n", b"0x5\r\n", b"0_5\r\n", b"5\nhello", b"5\rh", b"5\r\nhello\n",
        b"5\r\nhelloX",
        b"\r\n", b";a\r\n", b"5 ;a\r\n", b"5; a\r\n", b"5;\r\n", b"5;a =b\r\n", b"5;a= b\r\n",
        b'5;a="\x01"\r\n',
        b'5;a="b"x\r\n', b"5;a=\xff\r\n", b"5;a=b=c\r\n", b"10000000000000000\r\n", b"-1\r\n", b"g\r\n",
        b"0\r\nA : b", b"0\r\nA: b\r\n c", b"0\r\n A: b", b"0\r\nA: b\nC", b"0\r\nA\r\n", b"0\r\n: b",
        b"0\r\nA: \x01",
        b"0\r\n\n", b"0\r\n\rX", b"0\r\nContent-Length: 5", b"0\r\nTransfer-Encoding: x",
    )),
    CODED + b"ffffffffffffffff\r\nhello",
]

# The same, with any byte at all in the place of %s.
ANY_BYTE = [
    b"GET /%s HTTP/1.1" + END, LINE + b"A%s: b" + END, LINE + b"A: b%sc" + END, CODED + b"1;a=b%sc\r\nx",
]

# What the real one takes and the stand-in does not, as RFC 9112 lets it: the stand-in's error.
REFUSED = [
    (b"GET /\r\n\r\n", "HttpParserInvalidURLError"),
    (b"GET /\n", "HttpParserInvalidURLError"),
    (b"GET / RTSP/1.0\r\n\r\n", "HttpParserError"),
    (b"DESCRIBE / RTSP/1.0\r\n\r\n", "HttpParserError"),
    (b"SOURCE / ICE/1.0\r\n\r\n", "HttpParserError"),
    (b"PRI * HTTP/1.1\r\n", "HttpParserInvalidMethodError"),
    (b"\n" + NEXT, "HttpParserInvalidMethodError"),
    (b"\r" + NEXT, "HttpParserInvalidMethodError"),
    (NEXT + b"\n" + NEXT, "HttpParserInvalidMethodError"),
]

# Refused by both, but later by the stand-in: (case, where the real one stops, where the stand-in does).
LATER = [
    (b"DESCRIBE / HTTP/1.1\r\n\r\n", 15, 21),
]


# fmt: on


@needs_real
@pytest.mark.parametrize("case", ALIKE)
def test_same_calls_and_verdict(case: bytes) -> None:
    agree(case, splits(case))


@needs_real
@pytest.mark.parametrize("template", ANY_BYTE)
def test_any_byte(template: bytes) -> None:
    for byte in range(256):
        case = template % bytes([byte])
        if byte not in b"\r\n" or b"/%s" not in template:  # a target at the end of its line: see REFUSED
            agree(case, splits(case)[:2])


def heads_agree(expected: Log, actual: Log) -> None:
    """Up to a body, which the stand-in refuses at its first byte, the calls are the same."""
    assert actual.events[-1][0] == "headers complete"
    count = len(actual.events)
    assert actual.events == expected.events[:count]
    assert [event[0] for event in expected.events[count : count + 1]] != ["complete"]


def agree(case: bytes, ways: list[list[bytes]]) -> None:
    for pieces in ways:
        expected, actual = Log(real), Log(standin)
        verdict, stopped = expected.run(pieces)
        actual_verdict, actual_stopped = actual.run(pieces)
        if actual.body_refused:
            heads_agree(expected, actual)
            continue
        assert actual_verdict == verdict, pieces
        assert actual_stopped <= stopped, pieces
        assert told(actual) == told(expected), pieces


BODIES = [
    (LINE + b"Content-Length: 1" + END, b"x"),
    (LINE + b"Content-Length: 1" + END, b"x" + NEXT),
    (b"POST / HTTP/1.0\r\nA: b\r\nContent-Length: 3\r\nC: d" + END, b"abc"),
    (NEXT + LINE + b"Content-Length:\t5 " + END, b"hello"),
    (CODED, b"0" + END),
    (CODED, b"5\r\nhello\r\n0\r\nA: b" + END + NEXT),
    (LINE + b"Transfer-Encoding: gzip, chunked" + END, b"1\r\nx\r\n0" + END),
    (LINE + b"Connection: close\r\nTransfer-Encoding: chunked" + END, b"\r\n"),
]


@needs_real
@pytest.mark.parametrize(("head", "body"), BODIES)
def test_the_first_byte_of_a_body_is_refused_and_no_byte_before(head: bytes, body: bytes) -> None:
    for pieces in splits(head + body):
        expected, actual = Log(real), Log(standin)
        expected.run(pieces)
        assert actual.run(pieces)[0] == "HttpParserError"
        assert actual.body_refused
        heads_agree(expected, actual)
    log = Log(standin)
    assert log.run([head]) == ("fine", -1)
    for piece in (body[:1], body):
        with pytest.raises(standin.HttpParserError, match="reads heads only"):
            log.parser.feed_data(piece)


@needs_real
@pytest.mark.parametrize(("case", "error"), REFUSED)
def test_refused_by_the_stand_in_alone(case: bytes, error: str) -> None:
    for pieces in splits(case):
        assert Log(real).run(pieces) == ("fine", -1)
        assert Log(standin).run(pieces)[0] == error


@needs_real
@pytest.mark.parametrize(("case", "sooner", "later"), LATER)
def test_refused_later(case: bytes, sooner: int, later: int) -> None:
    pieces = [case[i : i + 1] for i in range(len(case))]
    assert Log(real).run(pieces) == ("HttpParserError", sooner)
    assert Log(standin).run(pieces) == ("HttpParserError", later)


# fmt: off
WORDS = [
    *(
        b"GET POST PUT CONNECT HEAD DESCRIBE / /a?b=c * http://a/b HTTP/1.1 HTTP/1.0 HTTP/2.0 RTSP/1.0 Host"
        b" : , ; = \" Connection Content-Length Transfer-Encoding Upgrade chunked close keep-alive upgrade"
        b" gzip A 0 1 3 5 abc"
    ).split(),
    b" ", b" ", b"\r\n", b"\r\n", b"\r\n", END, b"\t", b"\n", b"\r", b"\x00", b"\xff", b": ",
    LINE, LINE + b"Host: a\r\n", b"Content-Length: 3" + END, CODED, b"3\r\nabc\r\n", b"0" + END, NEXT,
    UPGRADE,
]
# fmt: on


def gibberish(dice: random.Random) -> bytes:
    """Good messages in a row, a few words of the field thrown in or cut out."""
    good = dice.choices(
        [
            NEXT,
            LINE + b"Host: a" + END,
            CODED + b"3;a=b\r\nabc\r\n0\r\nA: b" + END,
            b"PUT /x HTTP/1.1\r\nContent-Length: 3" + END + b"abc",
            OLD + b"Connection: keep-alive" + END,
        ],
        k=3,
    )
    text = bytearray(b"".join(good[: dice.randint(0, 3)]) or LINE)
    for _ in range(dice.randint(0, 3)):
        at = dice.randrange(len(text))
        text[at : at + dice.choice((0, 0, 1, 5))] = dice.choice(WORDS)
    return bytes(text) + b"".join(dice.choices(WORDS, k=dice.randint(0, 4)))


# What can be seen of REFUSED and LATER in a case (a body may end between CR and LF, and so leave a bare LF).
DIFFERENCES = re.compile(
    rb"[A-Z] +[^ \r\n]*[\r\n]|RTSP/|\r(?!\n)|(?:^|[^\r])\n",
    re.DOTALL,
)


@needs_real
def test_gibberish() -> None:
    """What the stand-in takes the real one takes alike; what it alone refuses is of the kinds told above."""
    dice, alike, bodies = random.Random(1), 0, 0
    for _ in range(2500):
        case = gibberish(dice)
        for pieces in splits(case)[:: dice.randint(1, 3)]:
            expected, actual = Log(real), Log(standin)
            verdicts = {log: log.run(pieces)[0].replace("InvalidURL", "") for log in (expected, actual)}
            if actual.body_refused:
                heads_agree(expected, actual)
                bodies += 1
            elif verdicts[expected] == verdicts[actual] and told(expected) == told(actual):
                alike += 1
            else:
                assert verdicts[actual] not in ("fine", "upgrade"), pieces
                assert DIFFERENCES.search(case), pieces
    assert alike > 5000
    assert bodies > 1000


def test_one_error_for_ever() -> None:
    log = Log(standin)
    with pytest.raises(standin.HttpParserInvalidMethodError):
        log.parser.feed_data(b"nonsense")
    with pytest.raises(standin.HttpParserInvalidMethodError):
        log.parser.feed_data(NEXT)
    assert log.events == [("begin",)]


@pytest.mark.parametrize("module", MODULES)
def test_after_an_upgrade_the_parser_goes_on(module: Any) -> None:
    log = Log(module)
    with pytest.raises(module.HttpParserUpgrade) as raised:
        log.parser.feed_data(LINE + UPGRADE + b"rest")
    assert raised.value.args == (len(LINE + UPGRADE),)
    log.parser.feed_data(NEXT)
    assert log.events[-1] == ("complete", b"GET", "1.1", True, False)


BODY_CALLBACKS = ["on_body", "on_chunk_complete", "on_chunk_header"]  # the stand-in calls none of these


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (module, name)
        for module in MODULES
        for name in dir(Log)
        if name.startswith("on_") and not (module is standin and name in BODY_CALLBACKS)
    ],
)
def test_an_exception_in_a_callback(module: Any, name: str) -> None:
    mistake = KeyError(name)

    def callback(*args: object) -> None:
        raise mistake

    protocol = type("Protocol", (), {name: staticmethod(callback)})()
    parser = module.HttpRequestParser(protocol)
    with pytest.raises(module.HttpParserCallbackError) as raised:
        parser.feed_data(CODED + b"1\r\nx\r\n0" + END if name in BODY_CALLBACKS else LINE + b"A: b" + END)
    assert raised.value.__context__ is mistake
    with pytest.raises(module.HttpParserCallbackError):
        parser.feed_data(NEXT)


@pytest.mark.parametrize("module", MODULES)
def test_the_face(module: Any) -> None:
    parser = module.HttpRequestParser(object())  # a protocol may have no callback at all
    assert (parser.get_method(), parser.get_http_version()) == (b"DELETE", "0.0")
    parser.feed_data(bytearray(b"PUT / HT"))
    parser.feed_data(memoryview(b"xTP/1.0\r\nA: b" + END)[1:])
    parser.feed_data(b"")
    assert (parser.get_method(), parser.get_http_version()) == (b"PUT", "1.0")
    for wrong in ("GET", None, 5):
        with pytest.raises(TypeError):
            parser.feed_data(wrong)
    for error in ("Callback", "InvalidStatus", "InvalidMethod", "InvalidURL"):
        assert getattr(module, f"HttpParser{error}Error").__bases__ == (module.HttpParserError,)
    assert module.HttpParserError.__bases__ == module.HttpParserUpgrade.__bases__ == (Exception,)


def test_ctrl_c_is_not_swallowed() -> None:
    def callback() -> None:
        raise KeyboardInterrupt

    protocol = type("Protocol", (), {"on_message_begin": staticmethod(callback)})()
    with pytest.raises(KeyboardInterrupt):
        standin.HttpRequestParser(protocol).feed_data(NEXT)


def seconds(pieces: list[bytes]) -> float:
    best = 9.0
    for _ in range(3):
        parser = standin.HttpRequestParser(object())
        started = time.thread_time()
        for piece in pieces:
            parser.feed_data(piece)
        best = min(best, time.thread_time() - started)
    return best


GROWING = [
    lambda size: [LINE + b"A: " + b"b" * size + END],
    lambda size: [LINE + b"A: b\r\n" * (size // 6) + END],
    lambda size: [LINE + b"A: " + b"b" * size],
    lambda size: [LINE, *[b"b"] * (size // 4)],
    lambda size: [LINE + b"A:", *[b" "] * (size // 4)],
    lambda size: [b"GET *", *[b"b"] * (size // 4)],
    lambda size: [NEXT * (size // 20)],
    lambda size: [b"GET * HTTP/1.1\r\n\r\n" * (size // 20)],
    lambda size: [LINE + b"Transfer-Encoding: a", *[b", b"] * (size // 12)],
    lambda size: [b"\r\n" * size],
]


@pytest.mark.parametrize("growing", GROWING)
def test_time_is_linear(growing: Any) -> None:
    """Eight times the bytes: eight times the time if linear, 64 times if not."""
    assert seconds(growing(64 << 10)) < 25 * seconds(growing(8 << 10)) + 0.005

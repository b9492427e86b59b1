"""Call: one call of a WSGI app: its part in a worker thread, and its part in the loop.

The thread posts what it has to say: a piece of the answer, a question, the end. The loop takes the posts in
their order, so a question for room is answered when the client has taken the pieces before it. There are two
questions: for the next piece of the body, and for room when `ENOUGH` bytes have been posted.

The thread is that of this call alone until `close()` has returned: Django keeps the connections to its
databases by thread, and ends them with a request.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop
from kissapi.backends.threads import SimpleQueue
from kissapi.core import Fail
from kissapi.extras.wsgi.head import response_of
from kissapi.extras.wsgi.streams import ClientGone
from kissapi.http.head import declared_length, is_bodyless
from kissapi.log.text import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kissapi.http.request import Request
    from kissapi.http.response import Response

ENOUGH = 64 * 1024  # bytes that the thread may be ahead of the client
_READ, _ROOM, _END, _GONE = (type(name, (), {})() for name in ("Read", "Room", "End", "Gone"))


class Call:
    """One call. `work` runs in the thread; `answer` and the steps of the body in the loop."""

    _response: Any = None  # of `start_response`
    _length: int | None = None  # what it says of the body
    _begun = False  # the first piece has been posted, and the head with it
    _whole = False  # it was all of them
    _ahead = 0  # bytes posted since there was room
    _waiter: Any = None  # a future, while the loop waits for a post
    _gone = False  # the loop takes no more posts
    _refusal: Fail | None = None  # why the rest of the body does not come
    _first = b""

    def __init__(self, request: Request, loop: Any) -> None:
        self._request = request
        self._loop = loop
        self._posts: deque[Any] = deque()
        self._replies: SimpleQueue[Any] = SimpleQueue()

    # In the thread

    def work(self, app: Callable[..., Any], environ: dict[str, Any]) -> None:
        """Call `app` and post its answer."""
        if self._gone:
            return  # the client has left while this was in the queue
        try:
            pieces = app(environ, self.start_response)
            try:
                self._post_all(pieces)
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()
        except BaseException as error:
            if not isinstance(error, ClientGone):
                self._fail(error)
            return
        if not self._whole:
            self._post(_END)

    def _post_all(self, pieces: Iterable[bytes]) -> None:
        if isinstance(pieces, (list, tuple)) and not self._begun:
            self._post_whole(b"".join(pieces))
            return
        for piece in pieces:
            self.write(piece)
        if not self._begun:
            self._post_whole(b"")

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """Take the head of the answer. Raises what is wrong with it, or what `exc_info` has if it is out."""
        try:
            if exc_info is not None and self._begun:
                raise exc_info[1].with_traceback(exc_info[2])
            if exc_info is None and (self._begun or self._response is not None):
                raise RuntimeError("start_response has been called before, and there is no exc_info")
        finally:
            exc_info = None  # its traceback has this frame: no cycle
        response = response_of(status, headers)
        self._length = declared_length(response)
        self._response = response
        return self.write

    def write(self, piece: bytes) -> None:
        """Post a piece of the answer; an empty one does not even send the head."""
        if not isinstance(piece, bytes):
            raise TypeError(f"a WSGI app gives bytes, not {piece!r:.80}")
        if not piece:
            return
        if self._whole:
            raise RuntimeError("the body has more bytes than its Content-Length")
        if not self._begun and self._length == len(piece):
            self._post_whole(piece)
            return
        self._check()
        self._begun = True
        self._post(piece)
        self._ahead += len(piece)
        if self._ahead >= ENOUGH:
            self._ahead = 0
            self._ask(_ROOM)

    def read(self) -> bytes:
        """Wait for the next piece of the body; b"" at the end. Raises `OSError` if it does not come."""
        piece = self._ask(_READ)
        if isinstance(piece, Fail):
            raise ClientGone(str(piece.data))
        return piece  # type: ignore[no-any-return]

    def _check(self) -> None:
        """Raise what keeps a piece from being posted."""
        if self._response is None and not self._begun:
            raise RuntimeError("the app has given an answer, and has not called start_response")
        if self._gone:
            raise ClientGone("the client has left")

    def _post_whole(self, body: bytes) -> None:
        self._check()
        length, status = self._length, self._response.status
        if length is not None and length != len(body) and not is_bodyless(self._request, status):
            raise RuntimeError(f"the body has {len(body)} bytes, and its Content-Length says {length}")
        self._begun = self._whole = True
        self._post(body)

    def _ask(self, question: object) -> Any:
        if self._gone:
            raise ClientGone("the client has left")
        if _is_alone(self._loop):
            if question is _ROOM:
                return None
            raise RuntimeError("there are no threads here: from_wsgi(app, buffer=…) gathers larger bodies")
        self._post(question)
        reply = self._replies.get()
        if reply is _GONE:
            raise ClientGone("the client has left")
        return reply

    def log(self, text: str) -> None:
        """Give what the app has written to the log."""
        request = self._request
        lines = "\n".join(map(escape, text.split("\n")))  # no client may move the cursor of a terminal
        service: Any = request._connection.service
        self._in_loop(service.log.error, f"{escape(f'{request.method} {request.path}')}: {lines}")

    def _fail(self, error: BaseException) -> None:
        if not (self._whole or self._gone):
            self._post(error)
            return
        service: Any = self._request._connection.service
        name = service.handler_name(self._request)
        self._in_loop(service.log.failure, self._request, name, error)

    def _post(self, what: Any) -> None:
        if self._gone:
            return
        self._posts.append(what)
        self._in_loop(self._wake)

    def _in_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call `function` in the loop; not at all if that has ended."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            self._leave()

    # In the loop

    async def answer(self) -> Response:
        """The answer of the app, its body whole or this call. Raises what the app raises before its head."""
        self._first = await self._next()
        response: Response = self._response
        self._response = None  # its body may be this call: no cycle
        if self._refusal is not None:
            self._leave()
            raise self._refusal
        if self._whole:
            response._body = self._first
            self._leave()
        else:
            response._body = self
        return response

    def __aiter__(self) -> Call:
        return self

    async def __anext__(self) -> bytes:
        piece, self._first = self._first, b""
        if not piece:
            piece = await self._next()
            if piece is _END:
                raise StopAsyncIteration
        posts = self._posts
        while posts and type(posts[0]) is bytes:
            piece += posts.popleft()
        return piece

    async def aclose(self) -> None:
        """The rest is not wanted: the app ends at its next piece, or where it waits for one."""
        self._leave()

    async def _next(self) -> Any:
        """The next piece, or `_END`; questions that come before it are answered. Raises what the app does."""
        try:
            while True:
                while not self._posts:
                    self._waiter = self._loop.create_future()
                    await self._waiter
                post = self._posts.popleft()
                if post is _READ:
                    self._replies.put(await self._read())
                elif post is _ROOM:
                    self._replies.put(None)
                elif isinstance(post, BaseException):
                    try:
                        raise _raisable(post)
                    finally:
                        del post  # its traceback has this frame: no cycle
                else:
                    return post
        except BaseException:
            self._leave()
            raise
        finally:
            self._waiter = None

    async def _read(self) -> Any:
        assert self._request._reader is not None
        try:
            return await self._request._reader.piece()
        except Fail as error:  # it is the answer, unless there is one already
            error.__traceback__ = None
            self._refusal = error
            return error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _leave(self) -> None:
        self._gone = True
        self._replies.put(_GONE)


def _raisable(error: BaseException) -> BaseException:
    """`error`, or what says it where StopIteration and SystemExit would end more than a handler."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    other = RuntimeError(f"the WSGI app raised {type(error).__name__}")
    other.__cause__ = error
    return other


def _is_alone(loop: Any) -> bool:
    """Whether this is the thread of `loop`, which cannot wait for itself."""
    if hasattr(loop, "submit"):
        return True
    try:
        return running_loop() is loop
    except RuntimeError:
        return False

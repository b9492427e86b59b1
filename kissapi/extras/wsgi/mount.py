"""Mount: a WSGI app as a router."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import running_loop, sleep, submit
from kissapi.backends.threads import copy_context
from kissapi.extras.wsgi.call import Call
from kissapi.extras.wsgi.environ import environ_of
from kissapi.extras.wsgi.streams import Errors, Input
from kissapi.http.limits import Limits, check_number
from kissapi.routing.gateway import gateway

if TYPE_CHECKING:
    from kissapi.http.request import Request
    from kissapi.http.response import Response
    from kissapi.routing.router import Router

App = Callable[[dict[str, Any], Callable[..., Any]], Any]


def from_wsgi(app: App, *, max_body: int | None = None, buffer: int = 64 * 1024) -> Router:
    """A router that gives every request to `app`, a WSGI app (PEP 3333): a callable, or an object with one.

    The app runs in a worker thread, of which a server has `max_threads`. `max_body`, in bytes, takes the
    place of the server's limit. Up to `buffer` bytes of a body are gathered before the app is called, so that
    a slow client costs no thread; the rest is read as the app asks for it. For an app that does not heed
    `wsgi.input_terminated`, as Django, a chunked body is empty where it has more than `buffer` bytes. Raises
    `TypeError` for what cannot be called.

        router["/old"] = from_wsgi(flask_app)
    """
    if not callable(app):
        raise TypeError(f"a WSGI app is called with (environ, start_response), and {app!r} cannot be called")
    check_number("buffer", buffer, 0)
    running: set[Call] = set()

    async def answer(request: Request) -> Response:
        loop = running_loop()
        call = Call(request, loop)
        if hasattr(loop, "submit"):  # a loop of tests runs the app in its own thread: nothing can come later
            most = float("inf")
        else:  # a client that waits for `100 Continue` waits for the app to read
            most = 0 if "expect" in request.headers else buffer
        body, whole = await _gathered(request, most)
        stream = BytesIO(body) if whole else BufferedReader(Input(call.read, body), buffer_size=64 * 1024)
        errors = Errors(call.log)
        environ = environ_of(request, stream, len(body) if whole else None, errors)
        running.add(call)
        submit(loop, partial(copy_context().run, _work, running, call, app, environ))
        return await call.answer()

    # For the log, and for `kissapi routes`.
    answer.__qualname__ = getattr(app, "__qualname__", type(app).__qualname__)
    answer.__module__ = getattr(app, "__module__", answer.__module__)
    router = gateway(answer, stream=True, max_body=max_body)

    @router.on_stop
    async def finish() -> None:
        """Wait for what apps do in `close()`, when the client has its answer."""
        for _ in range(int(Limits.shutdown_timeout / 0.01)):
            if running:
                await sleep(0.01)

    return router


async def _gathered(request: Request, most: float) -> tuple[bytes, bool]:
    """The first `most` bytes of the body, or a few more, and whether that is all of it. Raises `Fail`."""
    reader: Any = request._reader
    pieces: list[bytes] = []
    while not reader.done and sum(map(len, pieces)) < most:
        pieces.append(await reader.piece())
    return b"".join(pieces), reader.done


def _work(running: set[Call], call: Call, app: App, environ: dict[str, Any]) -> None:
    try:
        call.work(app, environ)
    finally:
        environ["wsgi.errors"].flush()
        running.discard(call)

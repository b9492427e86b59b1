"""Testing: a client that asks a router directly, without sockets and threads, by a clock of its own.

    from kissapi.extras.testing import Client

    def test_double():
        client = Client(router)
        answer = client.get("/double/21")
        assert answer.status == 200
        assert answer.json == {"double": 42}

Between client and handler everything is real, from bytes to bytes. Time is not: it passes only while
everything waits for it. So a handler that sleeps for an hour answers at once, `client.wait(3600)` lets an
hour pass, and the result of a test is always the same. Plain `def` handlers are called in the thread of the
test. On `backend="selectors"` asyncio is not imported; on `backend="asyncio"` handlers may await anything of
asyncio, in the same virtual time. `kissapi.clock()` tells it.

The client runs a loop of its own, and is used without `await`. In an `async def` test the loop of the test
stands still meanwhile; what the app has opened belongs to the client's: `client.run(app.pool.close())`.

A thread that the app has started itself, as aiosqlite does, gets half a second of real time before virtual
time passes. For what takes longer there is `Client(app, clock="real")`, where a second takes a second.
"""

from kissapi.extras.testing.answer import Answer
from kissapi.extras.testing.client import Client

__all__ = ["Answer", "Client"]

"""Background jobs: a request puts one in a queue, workers take them out, and a stop lets them end.

There is one queue for each event loop that serves. It is in memory: what a power cut may not lose belongs in
a database or a broker, and so does what several processes share.

$ curl --json '{"to": "ann@example.com"}' localhost:8000/mails
{"id":1,"to":"ann@example.com","state":"waiting"}
$ sleep 1; curl localhost:8000/mails/1
{"id":1,"to":"ann@example.com","state":"sent"}
"""

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from itertools import count

import msgspec

from kissapi import App, Fail, Queue, Request, Response, Router, Server, gather, sleep, spawn, timeout

WORKERS, WAITING, KEPT = 4, 1000, 10_000  # jobs at a time, in the queue, and that can be asked for
GRACE = 30.0  # seconds that a stop waits for jobs


@dataclass
class Mail:
    id: int
    to: str
    state: str = "waiting"


class NewMail(msgspec.Struct):
    to: str


class Post(App):
    mails: dict[int, Mail]  # the last ones
    queue: Queue[Mail]


class Req(Request):
    app: Post


router = Router()
numbers = count(1)
log = logging.getLogger(__name__)


@router.lifespan
async def post(app: Post) -> AsyncGenerator[None, None]:
    app.mails, app.queue = {}, Queue(maxsize=WAITING)
    for _ in range(WORKERS):
        spawn(work(app.queue))
    yield
    # All clients have left, the workers are cancelled. What they were at begins anew: a job must bear that.
    async with timeout(GRACE):
        await gather(*(do(mail) for mail in app.mails.values() if mail.state == "waiting"))


async def work(queue: Queue[Mail]) -> None:
    while True:
        await do(await queue.get())


async def do(mail: Mail) -> None:
    try:
        await deliver(mail)
        mail.state = "sent"
    except Exception:  # one bad job does not end the worker
        mail.state = "failed"
        log.exception("mail %d", mail.id)


async def deliver(mail: Mail) -> None:
    await sleep(0)  # stands for the work; what blocks goes into `await to_thread(function, …)`


@router.post("/mails")
async def send(req: Req, new: NewMail) -> Response:
    if req.app.queue.full():  # better than to promise what cannot be kept
        raise Fail(503, "too much to do", {"Retry-After": "10"})
    mail = Mail(next(numbers), new.to)
    req.app.mails[mail.id] = mail
    if len(req.app.mails) > KEPT:
        del req.app.mails[next(iter(req.app.mails))]
    req.app.queue.put_nowait(mail)
    return Response(mail, 202, {"Location": f"/mails/{mail.id}"})


@router.get("/mails/{id:int}")
async def state(req: Req) -> Mail:
    if (mail := req.app.mails.get(req.params["id"])) is None:
        raise Fail(404)
    return mail


server = Server(router=router)

if __name__ == "__main__":
    server.loop()

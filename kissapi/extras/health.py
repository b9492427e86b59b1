"""Health: routes that tell a load balancer or an orchestrator whether this process lives and is ready.

    from kissapi.extras.health import health

    async def database(app: App) -> None:
        await app.pool.execute("SELECT 1")

    router.mount("/", health({"database": database}))

`/-/live` answers 200 as long as the loop runs: where it does not, restart the process. `/-/ready` answers 200
where it may get requests, else 503: while the server stops, and where a check fails. Mount it beside a
router with auth, not below it: arounds cover mounted routers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kissapi.backends.awaitables import to_thread
from kissapi.backends.gather import gather
from kissapi.backends.handlers import is_plain
from kissapi.backends.timeout import timeout
from kissapi.http.limits import check_number
from kissapi.http.response import Response
from kissapi.routing.lifespan import takes_app
from kissapi.routing.router import Router

if TYPE_CHECKING:
    from kissapi.http.request import Request

__all__ = ["health"]

_FIELDS = {"cache-control": "no-store"}


def health(
    checks: Mapping[str, Callable[..., Any]] | None = None, *, prefix: str = "/-", seconds: float = 2.0
) -> Router:
    """A router that answers GET and HEAD of `/-/live` and `/-/ready`; `prefix` takes the place of `/-`.

    `checks` are by name what must work for this process to be of use. Each may take `app`, the namespace of
    its loop; it fails if it raises, returns False, or takes longer than `seconds`. All run at the same time,
    an `async def` on the loop, a plain `def` in a worker thread. The answer names those that failed; why is
    in the log. Raises `TypeError` for a check that cannot be called, `ValueError` for `seconds` below 0.

        router.mount("/", health({"database": database, "queue": queue}))
    """
    known = dict(checks or {})
    for name, check in known.items():
        if not callable(check):
            raise TypeError(f"the check {name!r} is {check!r}, which cannot be called")
    check_number("seconds", seconds, 0, seconds=True)
    router = Router()
    prefix = f"/{prefix.strip('/')}"

    @router.get(f"{prefix}/live", hidden=True)
    async def live(req: Request) -> Response:
        return Response({"status": "live"}, headers=_FIELDS)

    @router.get(f"{prefix}/ready", hidden=True)
    async def ready(req: Request) -> Response:
        service = req._connection.service if req._connection is not None else None
        if service is not None and service.stopping:
            return Response({"status": "stopping"}, 503, _FIELDS)
        errors = await gather(*(_fault(req, check, seconds) for check in known.values()))
        results = {}
        for name, error in zip(known, errors, strict=True):
            results[name] = "ok" if error is None else "failed"
            if error is not None and service is not None:
                service.log.warning(f"not ready: the check {name} failed: {error!r}")
        if any(error is not None for error in errors):
            return Response({"status": "not ready", "checks": results}, 503, _FIELDS)
        return Response({"status": "ready", "checks": results}, headers=_FIELDS)

    live.__qualname__, ready.__qualname__ = "live", "ready"
    return router


async def _fault(request: Request, check: Callable[..., Any], seconds: float) -> BaseException | None:
    """Why `check` failed; None if it did not."""
    arguments = (request.app,) if takes_app(check) else ()
    try:
        async with timeout(seconds):
            outcome = await to_thread(check, *arguments) if is_plain(check) else check(*arguments)
            if hasattr(outcome, "__await__"):
                outcome = await outcome
    except Exception as error:
        return error
    return ValueError("it returned False") if outcome is False else None

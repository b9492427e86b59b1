"""The app that the files beside it deploy: `kissapi app:router` serves it."""

from kissapi import Request, Router
from kissapi.extras.health import health

VERSION = "1"

router = Router()
router.mount("/", health())  # /-/live and /-/ready, for the probes


@router.get("/")
async def version(req: Request) -> str:
    return f"version {VERSION}\n"

"""An app that counts the visits of a browser in its session, and a store for sessions."""

from __future__ import annotations

from typing import Any

from kissapi import Request, Router
from kissapi.extras.sessions import sessions
from kissapi.extras.testing import Client

SECRET = "0123456789abcdef"


def visits(**options: Any) -> Router:
    """A router whose `GET /` counts the visits of a browser, and more."""
    router = Router()
    router.around(sessions(options.pop("secret", SECRET), **options))

    @router.get("/")
    async def count(req: Request) -> Any:
        req.session["n"] = req.session.get("n", 0) + 1
        return req.session["n"]

    @router.get("/look")
    async def look(req: Request) -> Any:
        return dict(req.session)

    @router.get("/none")
    async def none(req: Request) -> str:
        return "nothing"

    @router.get("/clear")
    async def clear(req: Request) -> None:
        req.session.clear()

    @router.get("/renew")
    async def renew(req: Request) -> None:
        req.session.renew()

    return router


def value_of(client: Client) -> str:
    return client.cookies["session"]


def looks(value: str, **options: Any) -> Any:
    answer = Client(visits(**options)).get("/look", headers={"cookie": f"session={value}"})
    assert answer.status == 200
    assert answer.headers.get("set-cookie", "").startswith("session=; Max-Age=0") == (answer.json == {})
    return answer.json


class Memory:
    """A store that notes what is asked of it, with the methods of redis.asyncio.Redis."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.calls: list[str] = []

    async def get(self, key: str) -> bytes | None:
        self.calls.append("get")
        return self.kept.get(key)

    async def set(self, key: str, text: str, seconds: int, *, xx: bool = False) -> bool | None:
        self.calls.append(f"set {seconds}")
        if xx and key not in self.kept:
            return None
        self.kept[key] = text.encode()
        return True

    async def delete(self, *keys: str) -> None:
        self.calls.append("delete")
        for key in keys:
            del self.kept[key]

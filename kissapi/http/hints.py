"""Hints: what requests of other frameworks have, and what kissapi has in its place.

`req.args` is an AttributeError that says so. Each name is a descriptor of the class `Hints`, which `Request`
is made of: other attributes cost what they did, which a `__getattr__` would change. An app or a subclass may
set any of them.
"""

from __future__ import annotations

from typing import Any

_PLACES = {
    "args": "req.query",
    "GET": "req.query",
    "query_params": "req.query",
    "POST": "req.form",
    "FILES": "req.files",
    "values": "req.query, or req.form",
    "data": "req.body, req.form or req.json",
    "g": "req.state",
    "get_data": "req.body",
    "read": "req.body, or req.stream() of a route with stream=True",
    "get_json": "req.json, a value and no function",
    "is_json": 'req.headers.get("content-type")',
    "content_type": 'req.headers.get("content-type")',
    "content_length": 'req.headers.get("content-length"), or len(req.body)',
    "mimetype": 'req.headers.get("content-type")',
    "referrer": 'req.headers.get("referer")',
    "authorization": "req.headers, or req.user of kissapi.extras.auth",
    "user_agent": 'req.headers.get("user-agent")',
    "host": "req.base_url, or req.headers",
    "path_params": "req.params",
    "path_parameters": "req.params",
    "view_args": "req.params",
    "match_info": "req.params",
    "COOKIES": "req.cookies",
    "META": "req.headers, and req.client",
    "environ": "req.headers, and req.client",
    "remote_addr": "req.client",
    "ip": "req.client",
    "full_path": "req.url, or req.path and req.query_string",
    "is_secure": 'req.scheme == "https"',
    "url_root": "req.base_url",
    "host_url": "req.base_url",
    "build_absolute_uri": "req.base_url + req.url_for(…)",
    "ctx": "req.state for this request, req.app for all",
}


class Hint:
    """An attribute that is not there, with an error that says where to look."""

    def __init__(self, name: str, place: str, what: str = "a request") -> None:
        self._name = name
        self._place = place
        self._what = what

    def __get__(self, request: Any, owner: type) -> Any:
        raise AttributeError(
            f"{self._what} has no {self._name!r}: it is {self._place}", name=self._name, obj=request
        )


class Hints:
    """The part of a request that is not there."""


for _name, _place in _PLACES.items():
    setattr(Hints, _name, Hint(_name, _place))  # so that no type checker takes them for attributes

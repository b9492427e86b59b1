"""Settings: every argument of `Server(…)`, checked, and what follows from it.

A record that is never changed: `replace` returns another one, through the same checks. Arguments that depend
on each other are checked together, by one function for each group. If `replace` changes nothing of a group,
what was made of it is kept, so a certificate is read once. `kissapi.server.running` serves by the settings;
the command line and the testing client replace some of those they are given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar

from kissapi import log as logs
from kissapi.http.json_library import JsonLibrary
from kissapi.http.limits import Limits, check_number
from kissapi.http.parser import HttpParser
from kissapi.http.request import Request
from kissapi.http.server_headers import ServerHeaders
from kissapi.http.words import did_you_mean
from kissapi.net.address import Address, parse_address
from kissapi.routing.router import Router
from kissapi.server.event_loop import Factory, choose

if TYPE_CHECKING:
    from logging import Logger

    from kissapi.net.certificate import TlsContext
    from kissapi.net.trusted_proxies import TrustedProxies

ValueT = TypeVar("ValueT")


class Settings:
    """What a server is to be: the arguments of `Server`, by the same names, and what they come to.

    `given` are all of the arguments; of the limits, those that are not the default. Raises what `Server`
    raises for what is wrong.
    """

    host: str | None
    port: int
    addresses: Sequence[Address]  # of `bind`, or of host and port
    unix_mode: int | None
    loops: int
    workers: int | None
    router: Router
    backend: str
    loop_factory: Factory | None
    lacks_asyncio: bool  # so that the backend is one that was not asked for
    parser_class: Callable[[Any], Any]
    request_class: type[Request]
    logger: Logger | type[logs.Log] | None
    access_log: bool
    headers: ServerHeaders
    json: JsonLibrary | None  # None: kissapi.http.json_codec
    debug: bool | Literal["force"]
    tls: TlsContext | None
    trusted: TrustedProxies | None
    proxy_fields: frozenset[str]
    proxy_protocol: bool
    limits: Limits
    _given: dict[str, Any]  # the arguments, as they were given

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.__dict__["_given"] = {}
        self._check(given)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"settings are replaced: server.settings = server.settings.replace({name}=…)")

    def __repr__(self) -> str:
        return f"<Settings {self.url} backend={self.backend!r}>"

    @property
    def speaks_http(self) -> bool:
        """Whether the parser is `HttpParser` or made of it."""
        return isinstance(self.parser_class, type) and issubclass(self.parser_class, HttpParser)

    @property
    def url(self) -> str:
        """Where a server of these settings can be reached; see `Server.url`."""
        scheme = ("http", "https") if self.speaks_http else ("tcp", "tls")
        address = self.addresses[0]
        if not address.path:
            address = Address(self.host, self.port)
        return f"{scheme[self.tls is not None]}{'+' if address.path else '://'}{address}"

    def make_log(self) -> logs.Log:
        """A log as `logger` says: a class of logs, records for a `logging.Logger`, or standard output."""
        if isinstance(self.logger, type):
            return self.logger()
        return logs.LoggerLog(self.logger) if self.logger is not None else logs.Log()

    def replace(self, **given: Any) -> Settings:
        """The same settings but for those given, by the names that `Server` has for them.

        What says the same in other words gives way: `host` and `port` to `bind`, `loop_factory` to `loop`, a
        certificate to `ssl`. Raises what `Server` raises.

            server.settings = server.settings.replace(port=8001, max_body=1 << 20)
        """
        own = self._given
        if given.keys() & {"host", "port"}:
            given = {"host": self.host, "port": self.port, "bind": None, **given}
        if "loop" in given:
            given = {"backend": None, "loop_factory": None, **given}
        elif given.keys() & {"backend", "loop_factory"}:
            backend = self.backend if own["loop"] else own["backend"]
            factory = None if given.get("backend") == "selectors" else self.loop_factory
            given = {"loop": None, "backend": backend, "loop_factory": factory, **given}
        if given.keys() & {"ssl", "certfile"}:
            given = {"ssl": None, "certfile": None, "keyfile": None, "keyfile_password": None, **given}
        other = object.__new__(Settings)
        other.__dict__.update(self.__dict__)
        other._check(given)
        return other

    def located(self, host: str | None, port: int, path: str = "") -> Settings:
        """The same settings, of a server that has got this place: port 0 is a free one until then."""
        other = object.__new__(Settings)
        first, *rest = self.addresses
        if path or not (first.path or first.fd >= 0):
            first = Address(path=path) if path else Address(host, port)
        other.__dict__.update(self.__dict__, host=host, port=port, addresses=(first, *rest))
        return other

    def _check(self, given: Mapping[str, Any]) -> None:
        limits = {name: value for name, value in given.items() if name in Limits.__annotations__}
        # An iterator can be read once, and what is given may be checked again beside other arguments.
        others = {
            name: list(value) if isinstance(value, Iterator) else value
            for name, value in given.items()
            if name not in limits
        }
        for name in others:
            if not is_argument(name):
                raise TypeError(_unknown(name))
        own = self.__dict__["_given"] = {**self._given, **others}
        for names, check in _GROUPS.items():
            if others.keys() & set(names):
                self.__dict__.update(check(**{name: own[name] for name in names}))
        # Always others: `server.limits.max_body = 5` changes no copy of the server.
        before = vars(self.limits) if "limits" in self.__dict__ else {}
        self.__dict__["limits"] = Limits(**{**before, **limits})


class Setting(Generic[ValueT]):
    """An attribute of `Server` that is a setting; to set it replaces the settings, with all their checks."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, server: Any, owner: type) -> ValueT:
        return getattr(server.settings, self._name) if server is not None else self  # type: ignore[return-value]

    def __set__(self, server: Any, value: ValueT) -> None:
        server.settings = server.settings.replace(**{self._name: value})


def _check_place(host: object, port: Any, bind: str | Iterable[str] | None) -> dict[str, Any]:
    if host is not None and not isinstance(host, str):
        raise TypeError(f"host must be a string, not {host!r}; give a port, a router by name: port=8000")
    check_number("port", port, 0, 65535)
    addresses: tuple[Address, ...] = (Address(host, port),)
    if bind is not None:
        if not isinstance(bind, Iterable):
            raise TypeError(f'bind must be an address such as "127.0.0.1:8000" or a list, not {bind!r}')
        texts = [bind] if isinstance(bind, str) else list(bind)
        addresses = tuple(address for text in texts for address in parse_address(text))
        if not addresses:
            raise ValueError("bind has no address: give one, such as 127.0.0.1:8000")
    return {"host": addresses[0].host, "port": addresses[0].port, "addresses": addresses}


def _check_unix_mode(unix_mode: object) -> dict[str, Any]:
    if unix_mode is not None and not (isinstance(unix_mode, int) and 0 <= unix_mode <= 0o777):
        raise ValueError(f"unix_mode is a number such as 0o660, at most 0o777, not {unix_mode!r}")
    return {"unix_mode": unix_mode}


def _check_loop(loop: Any, backend: Any, loop_factory: Any) -> dict[str, Any]:
    backend, loop_factory, fallback = choose(loop, backend, loop_factory)
    return {"backend": backend, "loop_factory": loop_factory, "lacks_asyncio": fallback}


def _check_counts(loops: Any, workers: Any) -> dict[str, Any]:
    check_number("loops", loops, 1)
    if workers is not None:
        check_number("workers", workers, 1)
        if not hasattr(os, "fork"):
            raise ValueError("workers need os.fork, which this system has not: use loops=…")
    return {"loops": loops, "workers": workers}


def _check_router(router: object) -> dict[str, Any]:
    if router is not None and not isinstance(router, Router):
        raise TypeError(f"router must be a Router, not {router!r}")
    return {"router": Router() if router is None else router}


def _check_request_class(request_class: object) -> dict[str, Any]:
    if not isinstance(request_class, type) or not issubclass(request_class, Request):
        raise TypeError(f"request_class must be Request or a subclass of it, not {request_class!r}")
    return {"request_class": request_class}


def _check_logging(logger: object, access_log: bool) -> dict[str, Any]:
    if logger is not None and not hasattr(logger, "info"):
        raise TypeError(f"logger must be a logging.Logger, not {logger!r}: logging.getLogger({logger!r})")
    return {"logger": logger, "access_log": access_log}


def _check_headers(headers: Any) -> dict[str, Any]:
    if headers is not None and not isinstance(headers, Mapping):
        try:
            headers = [(name, value) for name, value in headers]
        except (TypeError, ValueError):
            wanted = '{"X-Frame-Options": "DENY"}, or a list of such pairs'
            raise TypeError(f"headers must be names and their values: {wanted}; not {headers!r}") from None
    return {"headers": ServerHeaders(headers or ())}


def _check_json(json: Any) -> dict[str, Any]:
    if json is None:
        return {"json": None}
    return {"json": json if isinstance(json, JsonLibrary) else JsonLibrary(json)}


def _check_parser_class(parser_class: object) -> dict[str, Any]:
    if not callable(parser_class):
        raise TypeError(
            f"parser_class must be what makes a parser: a class or function, not {parser_class!r}"
        )
    return {"parser_class": parser_class}


def _check_tls(
    ssl: Any, certfile: Any, keyfile: Any, keyfile_password: Any, parser_class: Any
) -> dict[str, Any]:
    if all(given is None for given in (ssl, certfile, keyfile, keyfile_password)):
        return {"tls": None}
    from kissapi.net.certificate import make_tls  # only now: importing ssl costs 10 ms

    http = isinstance(parser_class, type) and issubclass(parser_class, HttpParser)
    protocols = ["http/1.1"] if http else []
    return {"tls": make_tls(ssl, certfile, keyfile, keyfile_password, protocols)}


def _check_proxies(trusted_proxies: Any, proxy_headers: Any, proxy_protocol: bool) -> dict[str, Any]:
    if trusted_proxies is None:
        if proxy_protocol or proxy_headers is not None:
            raise ValueError('which proxies are believed? trusted_proxies="127.0.0.1" names them')
        return {"trusted": None, "proxy_fields": frozenset(), "proxy_protocol": proxy_protocol}
    from kissapi.http import forwarded
    from kissapi.net.trusted_proxies import TrustedProxies

    fields = forwarded.field_names(forwarded.USUAL if proxy_headers is None else proxy_headers)
    return {
        "trusted": TrustedProxies(trusted_proxies),
        "proxy_fields": fields,
        "proxy_protocol": proxy_protocol,
    }


def _check_debug(debug: object) -> dict[str, Any]:
    if isinstance(debug, str) and debug != "force":  # "0", of the environment, would show tracebacks
        raise ValueError(f'debug must be True, False or "force", not {debug!r}')
    return {"debug": debug}


# Arguments that are checked together, and the check: it gives the attributes that they come to.
_GROUPS: dict[tuple[str, ...], Callable[..., dict[str, Any]]] = {
    ("loop", "backend", "loop_factory"): _check_loop,
    ("router",): _check_router,
    ("parser_class",): _check_parser_class,
    ("host", "port", "bind"): _check_place,
    ("request_class",): _check_request_class,
    ("logger", "access_log"): _check_logging,
    ("headers",): _check_headers,
    ("json",): _check_json,
    ("loops", "workers"): _check_counts,
    ("unix_mode",): _check_unix_mode,
    ("debug",): _check_debug,
    ("ssl", "certfile", "keyfile", "keyfile_password", "parser_class"): _check_tls,
    ("trusted_proxies", "proxy_headers", "proxy_protocol"): _check_proxies,
}
_NAMES = frozenset(name for names in _GROUPS for name in names)


def is_argument(name: str) -> bool:
    """Whether `name` is an argument of `Server`, a limit included."""
    return name in _NAMES or name in Limits.__annotations__


def _unknown(name: str) -> str:
    known = ", ".join(sorted(Limits.__annotations__))
    near = did_you_mean(name, [*_NAMES, *Limits.__annotations__])
    return f"{name!r} is neither an argument of Server nor a limit{near or ';'} the limits are: {known}"

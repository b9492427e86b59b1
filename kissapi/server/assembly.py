"""Assembly: what one event loop serves, put together from settings: a service, and what makes a connection.

The running server does it once for each of its loops, the testing client for its own. Under another server
(`kissapi.extras.asgi`) a service is all there is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from kissapi.http.connection import Connection
from kissapi.http.service import Service
from kissapi.routing.dispatch import Dispatch
from kissapi.server.event_loop import import_backend

if TYPE_CHECKING:
    from kissapi.backends.host import Connect
    from kissapi.server.settings import Settings

ServiceT = TypeVar("ServiceT", bound=Service)
Handle = Callable[[Any], Any]


def make_service(
    settings: Settings, loop: Any, around: Callable[[Handle], Any] | None = None
) -> tuple[Service, Callable[[Any], None]]:
    """The service of `loop`, and what makes a connection of an accepted socket there.

    `around(handle)` takes the place of what handles each request.
    """
    service = service_of(settings, loop, Service)
    if around is not None:
        service.handle = around(service.handle)
    connect: Connect = partial(Connection, service)
    if settings.tls is not None:
        from kissapi.backends.tls_handshake import over_tls

        current = settings.tls.current
        connect = over_tls(service, connect, lambda: current(service.clock(), service.log))
    adopt = import_backend(settings.backend).adopter(loop, service, connect)
    if settings.trusted is not None and settings.proxy_protocol:
        from kissapi.net.proxy_gate import Gate

        adopt = Gate(service, settings.limits, adopt, settings.trusted, service.log.warning).admit
    return service, adopt


def service_of(settings: Settings, loop: Any, make: Callable[..., ServiceT]) -> ServiceT:
    """The service of `loop`: what `make`, which is `Service` or a subclass, makes of the settings."""
    request_class = settings.request_class
    if settings.trusted is not None and settings.proxy_fields:
        from kissapi.http.forwarded import proxied_request_class

        request_class = proxied_request_class(settings.trusted, settings.proxy_fields, request_class)
    return make(
        loop=loop,
        spawn=import_backend(settings.backend).spawner(loop),
        dispatch=Dispatch(settings.router, settings.limits.max_body),
        parser_class=settings.parser_class,
        request_class=request_class,
        limits=settings.limits,
        log=settings.make_log(),
        headers=settings.headers,
        access_log=settings.access_log,
        json=settings.json,
    )

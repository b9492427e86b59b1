"""Environ: a request as the dictionary that a WSGI app gets (PEP 3333; RFC 3875 for the names of CGI).

Text is octets as ISO-8859-1 has them. Fields come from `req.headers`, the client and the scheme from the
request, so what trusted proxies say of them counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.http import uri
from kissapi.routing.gateway import root_path

if TYPE_CHECKING:
    from kissapi.http.request import Request

_WITHOUT_PREFIX = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def environ_of(request: Request, body: Any, size: int | None, errors: Any) -> dict[str, Any]:
    """What the app gets: `body` is its input, of `size` bytes if that is known, `errors` its log."""
    script_name = _octets(root_path(request))
    path = request.path
    path = uri.unescape(path).decode("latin-1") if "%" in path else _octets(path)
    head, start = request._head, len(request.method) + 1
    address = request._connection.transport.get_extra_info("sockname")
    name, port = (address[0], address[1]) if isinstance(address, tuple) else ("localhost", 80)
    client, client_port = request.client or ("", "")
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path[len(script_name) :],
        "QUERY_STRING": request.query_string,
        "REQUEST_URI": head[start : head.find(b" ", start)].decode("latin-1"),  # as it was sent
        "SERVER_NAME": name,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/" + request.http_version,
        "SERVER_SOFTWARE": "kissapi",
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,  # what lacks a length can be read to its end
        "wsgi.errors": errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,  # in a restart there are two
        "wsgi.run_once": False,
        "kissapi.request": request,  # what hooks have found out: `environ["kissapi.request"].user`
    }
    for field, values in request.headers._values.items():
        if "_" in field:
            continue  # X_Forwarded_For would pass for X-Forwarded-For
        key = _WITHOUT_PREFIX.get(field) or "HTTP_" + field.upper().replace("-", "_")
        environ[key] = _octets(values[0] if len(values) == 1 else request.headers[field])
    if size is not None and (size or "CONTENT_LENGTH" in environ):
        environ["CONTENT_LENGTH"] = str(size)
        environ.pop("HTTP_TRANSFER_ENCODING", None)  # it is no longer so
    return environ


def _octets(text: str) -> str:
    """The octets of `text`, which is sent as UTF-8, each as a character."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")

"""Beyond: what a client sees beyond each limit; for `kissapi --help` and the guide's table of limits."""

BEYOND = {
    "max_line": "414: the request line is too long",
    "max_head": "431: the request line and the header fields are too large",
    "max_fields": "431: too many header fields",
    "max_body": "413, before the body is read",
    "max_query": "400: too many query parameters, once `req.query` is looked at",
    "max_parts": "400: too many parts in a multipart form",
    "max_field": "413: a field of a form is too large; files are bounded by `max_body`",
    "max_field_name": "400: the name of a field of a form has more characters",
    "read_size": "nothing: one read of a socket takes no more; uvloop has its own number",
    "handshake_timeout": "the connection closed: the TLS handshake, or the PROXY header, took longer",
    "head_timeout": "408: the head was not complete so long after its first byte",
    "body_timeout": "408: the body was silent for so long, or fell so far behind `body_rate`",
    "body_rate": "nothing: a body that keeps this rate may take longer than `body_timeout`",
    "idle_timeout": "the connection closed, between two requests",
    "write_timeout": "the connection ends: the client took nothing for so long, or fell so far behind "
    "`write_rate`",
    "write_rate": "nothing: a client that keeps this rate may take longer than `write_timeout`",
    "linger_timeout": "nothing: after the last answer the server reads on for so long, so that the "
    "answer arrives",
    "drain_timeout": "when the server stops: the connection closed, if idle for so long",
    "shutdown_timeout": "when the server stops: the connection closed, if not answered by then",
    "max_connections": "waiting: no client is accepted until another leaves",
    "max_threads": "waiting: a plain `def` handler gets a thread when one is free; the servers of a "
    "process share them",
    "backlog": "waiting or refusal, by the kernel: so many connections may wait to be accepted",
    "worker_timeout": "the connection closed: a worker whose loop is blocked for so long is replaced",
    "max_requests": "nothing: a worker that has had so many is replaced without loss",
    "max_memory": "nothing: a worker that has more, in bytes, is replaced without loss",
}

_SIZES = ("max_line", "max_head", "max_body", "max_field", "read_size", "body_rate", "write_rate")


def as_shown(name: str, value: float | None) -> str:
    """The limit `name` for people.

    >>> as_shown("max_body", 16 << 20)
    '16 MiB'
    """
    if value is None:
        return "none"
    number = f"{value:g}"
    if name in _SIZES:
        number = f"{value / (1 << 20):g} MiB" if value >= 1 << 20 else f"{value / 1024:g} KiB"
    return number + " s" * name.endswith("_timeout") + "/s" * name.endswith("_rate")

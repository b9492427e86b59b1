"""Every number of the server, each with its reason.

All of them are keyword arguments of `Server`: `Server(max_body=1 << 20, idle_timeout=5)`.
Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

# With 0 of these no client would be served, and no error would say why.
_AT_LEAST_ONE = frozenset(
    ("body_rate", "write_rate", "max_connections", "max_memory", "max_requests", "max_threads", "read_size")
)


class Limits:
    """What one client may ask for, and for how long.

    Raises `TypeError` for a name that is no limit and `ValueError` for a number that makes no sense.

        >>> Limits(max_body=1024).max_body
        1024
    """

    # Sizes
    max_line: int = 8 * 1024  # RFC 9112 §3 asks for at least 8,000 octets of request line; longer → 414
    max_head: int = 64 * 1024  # request line and fields together; one read's worth → 431
    max_fields: int = 100  # browsers send about 15, proxies add a few → 431
    max_body: int = 16 * 1024 * 1024  # a photo or a batch of JSON, not a film → 413 before it is read
    max_query: int = 1000  # parameters in a query or form; more is an attack on the dictionary → 400
    max_parts: int = 256  # of a multipart form; a file among them may hold a descriptor → 400
    max_field: int = 1024 * 1024  # a field of a form is text that a person has typed; files are files → 413
    max_field_name: int = 256  # characters; names are those of the page, no longer than a line → 400
    read_size: int = 64 * 1024  # asyncio's own 256 KiB can cost 14 µs a read, in the allocator

    # Deadlines
    handshake_timeout: float = 10.0  # TLS, or a PROXY header, before any head; browsers need two round trips
    head_timeout: float = 10.0  # the whole head, from its first byte: a slow drip gains nothing → 408
    body_timeout: float = 60.0  # of a body that falls so far behind `body_rate` → 408
    body_rate: int = 1024  # bytes per second; one that was faster before has earned nothing by it
    idle_timeout: float = 15.0  # between requests; below the 20 to 60 s of most proxies' pools
    write_timeout: float = 30.0  # a client that has taken nothing for so long, or falls so far behind …
    write_rate: int = 1024  # … this many bytes per second, is gone
    linger_timeout: float = 2.0  # reading on after the last answer, so that the client gets it and no RST

    # Stopping
    drain_timeout: float = 0.5  # at stop, idle connections may still deliver a request for so long
    shutdown_timeout: float = 10.0  # at stop, work in flight may take so long before it is cancelled

    # Counts
    max_connections: int | None = None  # None: as many as the system gives descriptors
    max_threads: int = 40  # worker threads for `def` handlers and `to_thread`; the rest wait in a queue
    backlog: int = 2048  # connections the kernel may hold before we accept them

    # Workers; see `kissapi.process.master`. Of several servers of a program, the lowest number counts
    worker_timeout: float = 30.0  # one that does not answer its master for so long is replaced
    max_requests: int | None = None  # a worker that has had so many is replaced
    max_memory: int | None = None  # one that has more (resident, shared pages included) is replaced

    def __init__(self, **changes: float | None) -> None:
        for name, value in changes.items():
            if name not in Limits.__annotations__:
                raise TypeError(f"{name!r} is no limit")  # of what `Server` is given, it says more
            if value is not None or getattr(Limits, name) is not None:
                check_number(name, value, int(name in _AT_LEAST_ONE), seconds=name.endswith("_timeout"))
            setattr(self, name, value)

    def with_max_body(self, max_body: int) -> Limits:
        """The same, but for `max_body`."""
        return Limits(**{**vars(self), "max_body": max_body})


def check_number(
    name: str, value: object, least: int, most: float = float("inf"), *, seconds: bool = False
) -> None:
    """Raise `ValueError` unless `value`, the argument `name`, is a whole number from `least` to `most`.

    With `seconds`, fractions will do as well. `True` and `False` are no numbers.

        >>> check_number("port", 8000, 0, 65535)
    """
    kinds = (int, float) if seconds else int
    # Written so that NaN fails, too.
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        what = "seconds" if seconds else "a whole number"
        bounds = f", at least {least}" if most == float("inf") else f" from {least} to {most}"
        raise ValueError(f"{name} must be {what}{bounds}, not {value!r}")

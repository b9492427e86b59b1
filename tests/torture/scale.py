"""Scale: how much of everything: SHORT for the suite, FULL for `make torture`."""

from __future__ import annotations

import os
from typing import NamedTuple

MIB = 1024 * 1024


class Scale(NamedTuple):
    crowd: int  # clients of each slow kind
    timeout: float  # the deadlines of slow clients, in seconds
    slower: float  # the p99 beside a crowd, as a multiple of the undisturbed one, may be …
    slack: float  # … and so many seconds more: a suite runs on machines where others work, too
    upload: int  # bytes a client tries to send in chunks
    max_body: int
    requests: int
    connections: int
    logged: int  # requests while nobody reads the log
    slowly: bool  # wait for readers of the log that are late or slow, too
    flood: int  # bytes of a form or a JSON text
    shortages: int  # of descriptors
    resets: int  # rounds
    stops: int
    restarts: int


SHORT = Scale(30, 0.6, 2.0, 0.02, 64 * MIB, MIB, 2000, 200, 4000, False, MIB // 4, 1, 1, 1, 2)
FULL = Scale(
    500, 8.0, 2.0, 0.0, 1024 * MIB, 16 * MIB,
    int(os.environ.get("REQUESTS") or 1_000_000), int(os.environ.get("CONNECTIONS") or 100_000),
    60_000, True, 4 * MIB, 3, 10,
    int(os.environ.get("STOPS") or 50), int(os.environ.get("RESTARTS") or 50),
)  # fmt: skip

"""The log: lines for people, or records for a `logging.Logger`.

    12:35:01 [INFO] GET / → 200 13B 0.2ms

Nothing here knows a connection: a service tells its log what it has answered. `kissapi.extras.json_log` is a
log of JSON objects.
"""

from kissapi.log.lines import BATCH, GATHER, Log
from kissapi.log.output import BACKLOG, LAST_WORDS
from kissapi.log.records import LoggerLog
from kissapi.log.terminal import wants_colour
from kissapi.log.text import escape

__all__ = ["BACKLOG", "BATCH", "GATHER", "LAST_WORDS", "Log", "LoggerLog", "escape", "wants_colour"]

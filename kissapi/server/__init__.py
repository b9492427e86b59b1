"""The server: the settings and the life of one server.

settings.py      every argument of `Server(…)`, checked; a record that is replaced and never changed
event_loop.py    which backend it runs on, and what makes its event loop
listening.py     the sockets it listens on
assembly.py      what one event loop serves, put together from settings
announcement.py  what it logs when it begins to serve
interfaces.py    what it is given by processes with several loops or workers
running.py       one life of it in this process: bind, start, serve, stop
server.py        `Server`: what users make, of all of these

It knows no signals and no other process: those are of `kissapi.process`, which uses `Server` and `Running`.
"""

from kissapi.server.event_loop import BACKENDS, LOOPS
from kissapi.server.server import Server

__all__ = ["BACKENDS", "LOOPS", "Server"]

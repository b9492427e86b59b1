"""Inward: ASGI apps of other frameworks on kissapi's server.

mount.py      `from_asgi`: the router of an app
lifespan.py   the start and the end of an app in one event loop
scope.py      what an app is told of a request
exchange.py   one request at work
answer.py     what the app sends
fields.py     the head of that, checked
sockets.py    one WebSocket
bell.py       waiting for a change of any of these
"""

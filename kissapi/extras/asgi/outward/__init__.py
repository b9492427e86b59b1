"""Outward: a kissapi app as an ASGI app, under other servers.

app.py        `to_asgi`, and the app that it makes
site.py       one life of that app in one event loop
service.py    the service of that loop: what differs from that of kissapi's own server
exchange.py   one scope at work
transport.py  what a connection has in place of a socket there: it takes messages
request.py    the request that a scope describes, and its body
answer.py     the messages that answer it
websocket.py  the messages of a WebSocket
"""

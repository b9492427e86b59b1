"""Addresses, listening sockets, certificates, and the proxies in front of the server.

Nothing here knows a request. `kissapi.server` uses all of it, before the first client comes.
"""

"""Torture: all that a network, a client, a handler and an operator can do to a server. It must stay up.

    python -m tests.torture              every item, on every backend
    python -m tests.torture stops        one of them

The server is a process of its own, on loopback, ended by its own pid; every count is bounded. An item
gives its figures as a line of text and raises AssertionError for what must not be.
"""

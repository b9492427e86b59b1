"""Simulate: whole servers in one thread, with a network, a clock and worker threads that are made of dice.

    python -m tests.simulate --seeds 1000      that many seeds, and what was seen in them
    python -m tests.simulate --seed 12345      one of them again, step by step

A seed decides everything, so what fails once fails each time. The code of kissapi is the real one; what
lies below it is not: sockets, selector, clock, threads (network.py), or a whole transport (tests/wire.py).
"""

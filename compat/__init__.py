"""Stand-ins: what a small Python build lacks, in pure Python.

Debian's `python3.11-minimal` has no `json`, and nothing is installed there: no `httptools`, no `colorama`.
kissapi runs there all the same, because one module of kissapi is the door to each of these, and says
`try: the real one / except ImportError: from kissapi.compat …`.

A stand-in has the same names and gives the same results as the real thing, over a smaller surface. Outside
that surface it refuses; it never guesses. It imports nothing of kissapi, and only what every Python has.
Nothing is here that is no stand-in, or part of one.
"""

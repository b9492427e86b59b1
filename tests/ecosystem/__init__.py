"""Ecosystem: programs of others against kissapi, in an environment of their own: `make ecosystem`.

They are too heavy for `make test`. What cannot be installed here is left out, with a word.
"""

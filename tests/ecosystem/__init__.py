"""Ecosystem: programs of others with kissapi, each in a live server: `make ecosystem`.

They are too heavy for `make test`, and have an environment of their own, build/ecosystem. Each item is a
module with a `main()`, which gives one line that tells what has been seen, or raises what is wrong. What
cannot be installed here is left out, with a word.
"""

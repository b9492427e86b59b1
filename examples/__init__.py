"""Examples: one idea a file. `python -m examples.hello` in a checkout starts the first, on port 8000.

Each file says at its top how to ask it and what comes back; `tests/examples/test_examples.py` does just that.
"""

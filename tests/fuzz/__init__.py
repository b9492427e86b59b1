"""Fuzz: random bytes. Both parsers must agree, in every split, and h11 with what they take.

    python -m tests.fuzz --seconds 60      random seeds, for so long
    python -m tests.fuzz --seed 12345      one of them again

What fails is kept in corpus/, and replayed by tests/http/test_fuzz.py for ever.
"""

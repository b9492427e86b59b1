"""What clients, time and new secrets make of the cookie of a session: it is as signed, or it is empty."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kissapi.extras.sessions import sessions
from kissapi.extras.testing import Client
from tests.extras.visits import SECRET, Memory, looks, value_of, visits

OTHER = "fedcba9876543210"


def test_a_cookie_is_believed_as_signed_and_in_no_other_way() -> None:
    client = Client(visits())
    client.get("/")
    good = value_of(client)
    assert Client(visits()).get("/look", headers={"cookie": f"session={good}"}).json == {"n": 1}
    for at in range(len(good) - 1):  # the last character of base64 has bits that mean nothing
        assert looks(good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]) == {}
    body = good.rsplit(".", 1)[0]
    for made_up in (good[:-1], good + "AA", good.replace(".", ""), body, f"{body}.", f".{good}", ".", ".."):
        assert looks(made_up) == {}


def test_one_secret_signs_several_cookies_and_one_is_no_other() -> None:
    client = Client(visits(cookie="admin"))
    client.get("/")
    assert looks(client.cookies["admin"]) == {}
    kept = Client(visits(store=Memory()))
    kept.get("/")
    assert looks(value_of(kept)) == {}
    plain = Client(visits())
    plain.get("/")
    assert looks(value_of(plain), store=Memory()) == {}


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_characters=";", exclude_categories=["Cc", "Cs", "Zs"]), min_size=1))
def test_no_cookie_is_a_500(value: str) -> None:
    client = NOISE
    assert client.get("/look", headers={"cookie": f"session={value}"}).json == {}


NOISE = Client(visits())


@pytest.mark.parametrize(
    "value", ["x" * 60_000, "." * 8000, ".eJ" + "A" * 9000 + ".A.A", "=" * 99, '"', "é.☕.€"]
)
def test_a_bomb_is_an_empty_session(value: str) -> None:
    assert NOISE.get("/look", headers={"cookie": f"session={value}"}).json == {}


def test_over_https_a_cookie_without_the_prefix_does_not_count() -> None:
    plain = Client(visits())
    plain.get("/")
    safe = Client(visits(), scheme="https")
    assert safe.get("/look", headers={"cookie": f"session={value_of(plain)}"}).json == {}
    assert safe.get("/look", headers={"cookie": f"__Host-session={value_of(plain)}"}).json == {"n": 1}


# Time and keys


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock of signatures on."""
    real, offset = time.time, 0.0

    def move(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    monkeypatch.setattr("kissapi.extras.sessions.time.time", lambda: real() + offset)
    return move


def test_it_ends_max_age_after_it_was_last_signed(later: Callable[[float], None]) -> None:
    client = Client(visits(max_age=100))
    client.get("/")
    value = value_of(client)
    later(101)
    assert looks(value, max_age=100) == {}
    assert looks(value, max_age=300) == {"n": 1}


def test_one_in_use_is_signed_anew_at_half_its_life(later: Callable[[float], None]) -> None:
    client = Client(visits(max_age=100))
    client.get("/")
    later(40)
    assert "set-cookie" not in client.get("/look").headers
    later(20)
    assert "set-cookie" in client.get("/look").headers
    later(60)
    assert client.get("/look").json == {"n": 1}


def test_a_clock_that_is_behind_logs_no_user_out(later: Callable[[float], None]) -> None:
    client = Client(visits())
    client.get("/")
    later(-30)
    assert client.get("/look").json == {"n": 1}


def test_secrets_are_rotated() -> None:
    old = Client(visits(secret=OTHER))
    old.get("/")
    assert looks(value_of(old)) == {}
    assert looks(value_of(old), secret=[SECRET, OTHER]) == {"n": 1}
    new = Client(visits(secret=[SECRET, OTHER.encode()]))
    new.get("/")
    assert looks(value_of(new)) == {"n": 1}
    assert looks(value_of(new), secret=OTHER) == {}


@pytest.mark.parametrize(
    ("secret", "options", "why"),
    [
        ("short", {}, "at least 16 random bytes"),
        ([SECRET, "short"], {}, "at least 16 random bytes"),
        (None, {}, "a secret is a str or bytes"),
        ([], {}, "a secret is a str or bytes"),
        ([None], {}, "a secret is a str or bytes"),
        (SECRET, {"max_age": 0}, "max_age must be"),
        (SECRET, {"cookie": "a b"}, "no name for a cookie"),
        (SECRET, {"cookie": "__Host-a"}, "gets its prefix by itself"),
        (SECRET, {"same_site": "none"}, "needs secure=True"),
        (SECRET, {"same_site": "sometimes"}, "same_site is"),
        (SECRET, {"secure": "no"}, "secure is True, False"),
        (SECRET, {"partitioned": True}, "needs secure=True"),
        (SECRET, {"path": "x"}, "path begins with /"),
    ],
)
def test_settings_that_make_no_sense(secret: Any, options: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        sessions(secret, **options)

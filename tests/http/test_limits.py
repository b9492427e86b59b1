"""Limits: every number can be set, and none to what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from kissapi import Fail, HttpParser, Request, Server
from kissapi.http.limits import Limits

NAMES = list(Limits.__annotations__)


@pytest.mark.parametrize("name", NAMES)
def test_each_limit_is_an_argument_of_server(name: str) -> None:
    server = Server(**{name: 7})
    assert getattr(server.limits, name) == 7
    assert getattr(Limits, name) != 7


def test_a_server_without_limits_has_the_usual_ones() -> None:
    assert all(getattr(Server().limits, name) == getattr(Limits, name) for name in NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("timeout")])
def test_seconds_may_be_fractions_and_may_be_endless(name: str) -> None:
    assert getattr(Limits(**{name: 0.5}), name) == 0.5
    assert getattr(Limits(**{name: float("inf")}), name) == float("inf")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1, float("nan"), "1", True, [1]])
def test_a_number_that_makes_no_sense_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be (seconds|a whole number), at least [01], not"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("timeout")])
def test_bytes_and_counts_are_whole_numbers(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        Limits(**{name: 1.5})


@pytest.mark.parametrize(
    "name", ["body_rate", "max_connections", "max_memory", "max_requests", "max_threads", "read_size"]
)
def test_nothing_that_would_stop_all_service_may_be_zero(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number, at least 1, not 0"):
        Limits(**{name: 0})
    assert Limits(**{name: 1})


@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_none_by_itself_may_be_none(name: str) -> None:
    if name in ("max_connections", "max_memory", "max_requests"):
        assert getattr(Limits(**{name: None}), name) is None
    else:
        with pytest.raises(ValueError, match="not None"):
            Limits(**{name: None})


@pytest.mark.parametrize("name", ["max_bodyy", "__init__", "__annotations__", "_timeout", "hots"])
def test_what_is_no_limit_is_refused_with_a_list_of_those_there_are(name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}' is neither an argument of Server nor a limit.*max_body"):
        Server(**{name: 1})


def test_a_limit_that_is_changed_later_holds_for_a_head_in_one_piece_too() -> None:
    class Few(Limits):
        max_fields = 1

    limits = Limits()
    limits.max_fields = 1
    for few in (Few, limits):
        parser = HttpParser(Request())
        parser.limits = few
        with pytest.raises(Fail, match="431"):
            parser.feed_data(b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n")

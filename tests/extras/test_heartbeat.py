"""Heartbeat: when a ping is due, and when its answer is overdue. Time is a number."""

from __future__ import annotations

from kissapi.extras.websocket.heartbeat import Heartbeat


def test_a_ping_is_due_after_an_interval_of_silence() -> None:
    heart = Heartbeat(20, 5, now=100)
    assert [heart.is_ping_due(now) for now in (100, 120, 120.1)] == [False, False, True]
    heart.received = 110
    assert not heart.is_ping_due(120.1)


def test_while_a_ping_is_unanswered_no_other_is_due() -> None:
    heart = Heartbeat(20, 5, now=100)
    heart.pinged = 121
    assert not heart.is_ping_due(150)
    assert [heart.is_overdue(now) for now in (121, 126, 126.1)] == [False, False, True]


def test_any_byte_shows_that_the_client_is_there() -> None:
    heart = Heartbeat(20, 5, now=100)
    heart.pinged = 121
    heart.received = 122  # no pong: a client may be slow to answer, and busy sending
    assert not heart.is_overdue(130)
    assert heart.is_ping_due(142.1)


def test_a_pong_gives_the_latency() -> None:
    heart = Heartbeat(20, 5, now=100)
    heart.note_pong()  # one that was not asked for
    assert heart.latency is None
    heart.pinged, heart.received = 121, 121.25
    heart.note_pong()
    assert (heart.latency, heart.pinged) == (0.25, None)


def test_without_an_interval_there_are_no_pings() -> None:
    heart = Heartbeat(None, 5, now=100)
    heart.pinged = 101  # the app's own
    assert not heart.is_ping_due(10_000)
    assert not heart.is_overdue(10_000)

"""The table of signals: what a program and a worker make of each, in the code and in the guide."""

from __future__ import annotations

import signal

import pytest

from kissapi.process import signals
from tests.pages import GUIDE


def test_the_guide_has_the_table() -> None:
    text = (GUIDE / "deployment.md").read_text(encoding="utf-8")
    for name, action in signals.ACTIONS.items():
        in_a_terminal = signals.ACTIONS_IN_A_TERMINAL[name]
        row = f"| {name} | {action} | {in_a_terminal} | {signals.OF_A_WORKER[action]} |"
        assert row in text
    assert signals.ACTIONS.keys() == signals.ACTIONS_IN_A_TERMINAL.keys()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_what_is_ignored_stays_so_but_for_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_in_a_terminal", lambda: False)
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)
    assert signals.actions() == {
        signal.SIGINT: "end",
        signal.SIGTERM: "end",
        signal.SIGHUP: "restart",
        signal.SIGUSR2: "restart",
    }
    assert set(signals.actions(of_a_worker=True).values()) == {"end", "ignore"}
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    assert signals.actions() == {signal.SIGTERM: "end"}


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_a_window_that_is_closed_wants_no_new_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_in_a_terminal", lambda: True)
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)
    assert signals.actions()[signal.SIGHUP] == "end"

"""The call budget on this Python, with httptools and without; test_cpythons.py asks every other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.budget import BUDGETS, Budget, calls_of


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.name)
def test_a_request_takes_no_more_calls_than_its_budget(parser_class: Any, budget: Budget) -> None:
    python, c = calls_of(budget, parser_class)
    assert len(python) <= budget.python, "\n".join(python)
    assert len(c) <= budget.c, "\n".join(c)

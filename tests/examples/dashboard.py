"""The dashboard for Grafana of examples/deploy: its queries, as Prometheus gets them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.places import ROOT

DEPLOY = ROOT / "examples" / "deploy"
FILLED = {"$__rate_interval": "1m", "$job": "shop", "$route": ".*"}


def queries() -> Iterator[tuple[str, str]]:
    """(title, expression) of each query, with the variables of Grafana filled in."""
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in FILLED.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, expression
            yield f"{panel['title']}: {target['legendFormat']}", expression

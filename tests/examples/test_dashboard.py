"""What examples/deploy has for Prometheus and Grafana asks for metrics and labels that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from kissapi import Router
from kissapi.extras.testing import Client
from tests.examples.dashboard import DEPLOY, queries

WORDS = {"by", "or", "le"}  # of PromQL, beside its functions; `le` is a label of every histogram


def test_each_query_asks_for_metrics_and_labels_that_there_are() -> None:
    prometheus = pytest.importorskip("prometheus_client")
    from kissapi.extras.metrics import metrics

    router = Router()
    router.mount("/", metrics(router, registry=prometheus.CollectorRegistry()))
    with Client(router) as client:
        client.get("/nowhere")
        client.wait(2)
        text = client.get("/metrics").text
    samples = re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.MULTILINE)
    labels: dict[str, set[str]] = {}
    for name, pairs in samples:
        labels.setdefault(name, {"job"}).update(re.findall(r'(\w+)="', pairs))
    asked = list(queries())
    assert len(asked) >= 15
    for title, query in asked:
        bare = re.sub(r'"[^"]*"', '""', query)
        selected = re.findall(r"(\w+)\{([^}]*)\}", bare)
        names = set(re.findall(r"\b([a-z_]\w*)\b(?!\s*\()", re.sub(r"\{[^}]*\}|\bby \([^)]*\)", "", bare)))
        assert names - WORDS == {name for name, _ in selected}, f"{title}: {query}"
        for name, matchers in selected:
            assert name in labels, f"{title}: there is no {name}"
            assert set(re.findall(r"(\w+)[!=]", matchers)) <= labels[name], f"{title}: {query}"
        grouped = {each.strip() for by in re.findall(r"\bby \(([^)]*)\)", bare) for each in by.split(",")}
        assert grouped <= set.union(*(labels[name] for name, _ in selected)), f"{title}: {query}"


def test_each_panel_has_a_place_of_its_own() -> None:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24, "Grafana has 24 columns"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    shown = {panel["title"] for panel in dashboard["panels"]}
    assert len(shown) == len(places)


def test_promtool_takes_the_configuration() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run(
        ["promtool", "check", "config", DEPLOY / "prometheus.yml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

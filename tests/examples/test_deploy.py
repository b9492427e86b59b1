"""The files of examples/deploy agree with the code and with one another: flags, paths, ports, users, times.

What takes linters, a systemd or a builder of images is in tests/ecosystem/deploy_*.py; nginx and HAProxy
themselves are in tests/net/test_behind_proxies.py.
"""

from __future__ import annotations

import inspect
import json
import re
import runpy
import shlex
from typing import Any

import pytest

import kissapi
from kissapi import Router
from kissapi.cli.options import make_parser, read
from kissapi.extras.health import health
from kissapi.extras.testing import Client
from kissapi.http.limits import Limits
from kissapi.http.roster import CLEANUP
from kissapi.net.address import parse_address
from tests.pages import DEPLOY, GUIDE

# What a stop takes at most.
STOP = Limits.drain_timeout + Limits.shutdown_timeout + CLEANUP
CHECK = inspect.signature(health).parameters["seconds"].default


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def router() -> Router:
    found = runpy.run_path(str(DEPLOY / "app.py"))["router"]
    assert isinstance(found, Router)
    return found


def given(words: list[str]) -> dict[str, Any]:
    """What a command line of kissapi says; one that is wrong raises SystemExit."""
    assert words[0].rpartition("/")[2] == "kissapi"
    found = read(make_parser(), words[1:], {})
    assert found.pop("target") == "app:router"
    return found


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in text(name).replace("\\\n", "").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the last stage."""
    stage = re.sub(r"\\\n", "", text("Dockerfile")).split("\nFROM ")[-1]
    lines = [line for line in stage.splitlines()[1:] if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def manifests() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return {each["kind"]: each for each in yaml.safe_load_all(text("kubernetes.yaml"))}


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


# The app


def test_the_app_has_what_the_probes_ask() -> None:
    client = Client(router())
    assert client.get("/").text == "version 1\n"
    for path in ("/-/live", "/-/ready"):
        assert client.get(path).status == 200


def test_the_requirement_is_this_version() -> None:
    assert f"kissapi[uvloop]>={'.'.join(kissapi.__version__.split('.')[:2])}\n" in text("requirements.txt")


# The container


def test_the_image_runs_a_command_that_is_right() -> None:
    (command,) = [json.loads(rest) for word, rest in dockerfile() if word == "CMD"]
    assert given(command) == {"loop": "uvloop"}


def test_the_health_check_asks_what_is_there() -> None:
    (check,) = [rest for word, rest in dockerfile() if word == "HEALTHCHECK"]
    flags, _, command = check.partition(" CMD ")
    python, c, program = json.loads(command)
    assert (python, c) == ("python", "-c")
    compile(program, "HEALTHCHECK", "exec")
    (path,) = re.findall(r"'GET', '([^']*)'", program)
    assert Client(router()).get(path).status == 200
    (own,) = re.findall(r"timeout=(\d+)", program)
    (outer,) = re.findall(r"--timeout=(\d+)s", flags)
    assert float(own) < float(outer)


def test_the_image_takes_what_is_not_ignored() -> None:
    sources = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text("Dockerfile"), re.MULTILINE)
        for source in line.split()[:-1]
    }
    ignored = [line for line in text(".dockerignore").splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored[1:]} == sources


# Kubernetes


def test_the_manifests_are_about_that_image() -> None:
    found = manifests()
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    image = dict(dockerfile())
    assert str(pod["securityContext"]["runAsUser"]) == image["USER"]
    (port,) = container["ports"]
    assert str(port["containerPort"]) == image["EXPOSE"]
    assert f"PORT={port['containerPort']} " in image["ENV"]
    assert found["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    target = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", found["Deployment"]["metadata"]["name"])
    assert "replicas" not in found["Deployment"]["spec"]


def test_the_pod_has_the_time_that_it_takes() -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before + STOP + 2
    assert container["readinessProbe"]["timeoutSeconds"] > CHECK
    client = Client(router())
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"
        assert client.get(container[probe]["httpGet"]["path"]).status == 200
    # A check that fails takes a pod out of the Service; it never restarts it.
    assert "ready" not in container["livenessProbe"]["httpGet"]["path"]


# systemd


def test_the_unit_runs_a_command_that_is_right() -> None:
    (command,) = unit("app.service")["ExecStart"]
    words = shlex.split(command)
    assert words[0].startswith(f"{unit('app.service')['WorkingDirectory'][0]}/.venv/bin/")
    found = given(words)
    assert found["bind"] == ["systemd"]
    assert found["trusted_proxies"] == "unix"
    assert found["workers"] == 2


def test_the_unit_has_the_time_that_it_takes() -> None:
    service = unit("app.service")
    assert seconds(service["TimeoutStopSec"][0]) >= STOP + 2
    assert service["KillMode"] == ["mixed"]  # or a worker is told twice, which means at once


def test_the_proxies_lead_to_the_socket() -> None:
    (path,) = unit("app.socket")["ListenStream"]
    assert unit("app.socket")["SocketMode"] == ["0660"]
    assert f"server unix:{path};" in text("nginx.conf")
    assert f"server app unix@{path} " in text("haproxy.cfg")
    assert parse_address(f"unix:{path}")[0].path == path


# The proxies


def test_the_proxy_closes_first() -> None:
    (kept,) = re.findall(r"keepalive_timeout (\d+)s;", text("nginx.conf"))
    assert float(kept) < Limits.idle_timeout


def test_the_size_of_a_body_is_said_once() -> None:
    assert "client_max_body_size 0;" in text("nginx.conf")


# The guide


def test_the_guide_has_the_flags_of_the_files() -> None:
    chapter = (GUIDE / "containers.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^docker run (.*) app$", chapter, re.MULTILINE)
    assert f"docker run {shown} app" in text("Dockerfile")

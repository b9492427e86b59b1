# The only door: every task is a target here, and all that a target makes goes to .venv/ and build/.

.DEFAULT_GOAL := help
.PHONY: help run test check test-all browser ecosystem fuzz torture simulate bench bench-peers speed free-threaded \
	minimal wheel site count clean \
	writable
.SUFFIXES:

# The first that really runs (a pyenv shim may stand on PATH and fail), is new enough and can make an environment.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; exit; }; done)
NO_PYTHON = make: it takes a Python of 3.11 or newer with the modules venv and ensurepip. \
	Install one (Debian, Ubuntu: apt-get install python3-venv), or name another: make PYTHON=python3.12

PY := .venv/bin/python
PIP := -m pip install --quiet --disable-pip-version-check
READ_ONLY = make: this folder cannot be written, and all that is made goes to .venv/ and build/ in it. \
	Copy it to one that can, and run make there: cp -r . ~/kissapi && cd ~/kissapi
export HYPOTHESIS_STORAGE_DIRECTORY := build/hypothesis
# Bytecode is kept, in build/: else five processes, and each server that they start, compile the same files again.
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
unexport PYTHONDONTWRITEBYTECODE

help: # not listed: it is the list
	@echo "kissapi: what make can do"
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; \
		do printf '  make %-11s %s\n' "$$target" "$$text"; done

run: .venv/run ## make .venv, install kissapi in it, serve the quick start on PORT (8000)
	@echo "make: python -m kissapi examples.hello:server (Ctrl-C ends it)"
	@exec $(PY) -m kissapi examples.hello:server

# Five processes on two cores: many a test waits for a deadline.
test: .venv/dev ## make .venv, install kissapi in it, run the whole suite: both backends, both parsers, small Python
	@$(PY) -m tests.cpythons --httptools
	@echo "make: pytest"
	@$(PY) -m pytest -n 5

check: .venv/dev ## format, lint, types and import rules
	@echo "make: ruff format --check"
	@$(PY) -m ruff format --check --quiet . || { echo "make: mended by $(PY) -m ruff format ." >&2; exit 1; }
	@echo "make: ruff check"
	@$(PY) -m ruff check --quiet .
	@echo "make: mypy --strict"
	@$(PY) -m mypy --no-error-summary --cache-dir build/mypy -p kissapi -p examples -m tests.house.typed_program
	@echo "make: import rules"
	@$(PY) -m pytest -q tests/house/test_imports.py

test-all: .venv/bin/python ## run the suite on every CPython from 3.11 up that is on PATH, in /usr/bin or in pyenv
	@$(PY) -m tests.cpythons | { ran=; failed=; left=; tab="$$(printf '\t')"; \
	while IFS="$$tab" read -r version path; do \
		"$$path" -c 'import ensurepip' 2>/dev/null || { left="$$left $$version"; continue; }; \
		ran="$$ran $$version"; \
		$(MAKE) --no-print-directory build/python$$version/test BY="$$path" </dev/null && \
		echo "make: pytest on Python $$version" && build/python$$version/bin/python -m pytest -q </dev/null \
		|| failed="$$failed $$version"; \
	done; \
	test -z "$$left" || echo "make: left out, for want of ensurepip (Debian: apt-get install python3-venv):$$left"; \
	echo "make: ran on$${ran:- no Python at all}$${failed:+; FAILED on$$failed}"; test -n "$$ran" -a -z "$$failed"; }

browser: ## Debian's Chromium and its driver, by apt-get: without them the tests in a real browser are skipped
	@test "$$(id -u)" = 0 && sudo= || sudo=sudo; \
		echo "make: apt-get install chromium chromium-driver"; \
		$$sudo apt-get -qq update && \
		$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium chromium-driver

# ONLY=flask_app runs one item.
ecosystem: build/ecosystem/installed .venv/dev ## Flask, Django, FastAPI and others on kissapi, uvicorn's and Starlette's tests
	@$(PY) -m tests.ecosystem $(ONLY)

# PY=build/python3.11.2/bin/python: on one of those that `make test-all` has made.
fuzz: SECONDS := 60
fuzz: .venv/dev ## random requests for SECONDS (60): both parsers must agree, h11 and every CPython with them
	@$(PY) -m tests.cpythons --httptools
	@$(PY) -m tests.fuzz --seconds $(SECONDS)

simulate: SEEDS := 1000
simulate: .venv/dev ## SEEDS (1000) runs with a network, a clock and threads made of dice: the laws must hold
	@$(PY) -m tests.simulate --seeds $(SEEDS)

# ONLY=stops runs one item; REQUESTS, CONNECTIONS and STOPS change its counts.
torture: export REQUESTS := $(REQUESTS)
torture: export CONNECTIONS := $(CONNECTIONS)
torture: export STOPS := $(STOPS)
torture: export RESTARTS := $(RESTARTS)
torture: .venv/dev ## slow, broken and greedy clients, wrong handlers, stops under load (ONLY=name for one)
	@$(PY) -m tests.torture $(ONLY)

# QUICK=1, ROUNDS, SECONDS; ONLY=peers,profiles for some groups, NAMES=websocket,bare for some rows; THEN=REVISION
# has an older kissapi beside in the profiles.
BENCH = $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	$(if $(NAMES),--names "$(NAMES)") $(if $(THEN),--then $(THEN)) $(ONLY)
bench: .venv/dev ## how fast, beside all peers (ROUNDS=3 SECONDS=1: a quarter of an hour; QUICK=1: five minutes)
	@$(PY) -m tests.bench $(BENCH)

speed: .venv/dev ## measure the ten servers of the README, write its table and its picture (after bench-peers)
	@$(PY) -m tests.bench.speed

bench-peers: build/peers/installed ## build/peers: the other servers that `make bench` measures

free-threaded: .venv/dev ## two loops against one on a CPython without GIL, built here if FREE_THREADED names none
	@$(PY) -m tests.free_threaded

minimal: .venv/dev ## serve from the wheel on Debian's python3.11-minimal, with nothing else installed
	@$(PY) -m tests.small_python
	@$(PY) -m pytest -v -rP tests/house/test_minimal.py

wheel: .venv/dev ## build the wheel, install it in an empty environment, import and serve from it
	@$(PY) -m tests.installed

site: build/site-venv/installed .venv/dev ## the website, into build/site: README, guide, reference, examples; and what is wrong with it
	@echo "make: python -m tests.site"
	@$(PY) -m tests.site

count: .venv/run ## logical lines of each file
	@$(PY) -m tests.count

clean: ## remove .venv, build and what caches left behind
	@echo "make: removing .venv, build and caches"
	@rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find kissapi compat tests examples -name __pycache__ -prune -exec rm -rf {} +

# Three stamps, each remade when pyproject.toml changes. The install is editable: source files need none.
.venv/bin/python: | writable
	@test -n "$(PYTHON)" || { echo "$(NO_PYTHON)" >&2; exit 1; }
	@echo "make: .venv, by $(PYTHON)"
	@"$(PYTHON)" -m venv --clear .venv || { rm -rf .venv; echo "$(NO_PYTHON)" >&2; exit 1; }

# Each target that makes something asks first: a half-made .venv and a page of pip would say less.
writable:
	@test -w . || { echo "$(READ_ONLY)" >&2; exit 1; }

.venv/run: pyproject.toml | .venv/bin/python
	@echo "make: installing kissapi in .venv"
	@$(PY) $(PIP) --editable . && rm -rf kissapi.egg-info
	@touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	@echo "make: installing kissapi, its tests and its checks in .venv"
	@$(PY) $(PIP) --editable '.[dev]' && rm -rf kissapi.egg-info
	@touch $@ .venv/run

build/python%/test: pyproject.toml
	@echo "make: build/python$*, by $(BY)"
	@"$(BY)" -m venv --clear build/python$*
	@build/python$*/bin/python $(PIP) --editable '.[test,uvloop]' && rm -rf kissapi.egg-info
	@touch $@

# All at once, which takes a minute; if one cannot be had, each for itself.
build/ecosystem/installed: tests/ecosystem/requirements.txt pyproject.toml | .venv/bin/python
	@echo "make: build/ecosystem"
	@$(PY) -m venv --clear build/ecosystem
	@build/ecosystem/bin/python $(PIP) --editable . && rm -rf kissapi.egg-info
	@build/ecosystem/bin/python $(PIP) -r $< >build/ecosystem/log 2>&1 \
		|| sed -n 's/^\([a-z].*\)/\1/p' $< | while read -r package; do \
		build/ecosystem/bin/python $(PIP) "$$package" </dev/null >build/ecosystem/log 2>&1 \
		|| echo "make: $$package is left out: $$(tail -n 1 build/ecosystem/log)" >&2; done
	@touch $@

build/site-venv/installed: examples/guide/site/requirements.txt | .venv/bin/python
	@echo "make: build/site-venv"
	@$(PY) -m venv --clear build/site-venv
	@build/site-venv/bin/python $(PIP) -r $< 2>build/site-venv/log || { tail -n 1 build/site-venv/log >&2; \
		echo "make: the site needs the packages of $<, and pip cannot have them: is there a network?" >&2; exit 1; }
	@touch $@

# One after the other: one that cannot be had here keeps no other away. 0.1.6 has our name, so a folder of its own.
build/peers/installed: tests/bench/peers.txt | .venv/bin/python
	@echo "make: build/peers"
	@$(PY) -m venv --clear build/peers
	@sed -n 's/^\([a-z].*\)/\1/p' tests/bench/peers.txt | while read -r peer; do \
		echo "make: $$peer"; build/peers/bin/python $(PIP) "$$peer" >build/peers/log 2>&1 \
		|| echo "make: $$peer is left out: $$(tail -n 1 build/peers/log)" >&2; done
	@echo "make: kissapi==0.1.6, in build/peers-kissapi016"
	@rm -rf build/peers-kissapi016
	@build/peers/bin/python $(PIP) --no-deps --target build/peers-kissapi016 kissapi==0.1.6 >build/peers/log 2>&1 \
		|| echo "make: kissapi==0.1.6 is left out: $$(tail -n 1 build/peers/log)" >&2
	@test -x /usr/sbin/nginx || command -v nginx >/dev/null \
		|| echo "make: nginx is left out: apt-get install nginx-light" >&2
	@touch $@

# Every target is also what .ci/run and the README use. ./setup first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
# Where the environment says otherwise: tests start Python some thousand times, each half a second of compiling more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo bench mutants peers check format-check lint types imports fast test soak format lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing
	./setup

demo: ## the tour, from nothing to an answered request; needs root
	examples/tour.sh

check: ## format, lint, types, imports, and the tests that need no root; about a minute
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target format-check lint imports types fast

format-check:
	$(BIN)/ruff format --check .

lint:
	$(BIN)/ruff check .

types:
	$(BIN)/pyright

imports:
	$(BIN)/lint-imports

fast:
	$(BIN)/python -m pytest -q --numprocesses 2 --dist worksteal -m "not root and not slow"

peers: ## build what tests meet and Debian does not have: containerd 1.7 and 2.x, cosign, Kubernetes; minutes, once
	tests/peers/build

test: peers ## every test; needs root for namespaces and BPF
	@status=0; \
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not root" || status=$$?; \
	$(BIN)/python -m pytest -p tests.apart --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "root and not alone" || status=$$?; \
	$(BIN)/python -m pytest -m "root and alone" || status=$$?; \
	exit $$status

soak: peers ## look for differences that no test has met: HOURS=8 or SECONDS=60, TURNOUT_SEED to repeat one; needs root
	TURNOUT_KILLS=200 $(BIN)/python -m pytest -q -s tests/conformance/test_killing.py tests/conformance/test_failing.py
	TURNOUT_CONTAINERS=500 $(BIN)/python -m pytest -q -s tests/images/test_churn.py
	$(BIN)/python -m tests.conformance.soak
	$(if $(HOURS),HOURS=$(HOURS)) $(if $(SECONDS),SECONDS=$(SECONDS)) $(BIN)/python -m tests.differential.soak

mutants: ## every fault on purpose that can be made, and what catches it; hours, needs root
	$(BIN)/python -m tests.mutation $(MUTANTS)

bench: ## figures, about an hour (nine minutes with QUICK=--quick); needs root
	for program in bench/[a-z]*.py; do $(BIN)/python -m "bench.$$(basename "$$program" .py)" $(QUICK); done

format: ## rewrite the sources as ruff likes them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Hashes of all platforms, so that the same files serve amd64 and arm64. `make lock UPGRADE=--upgrade` moves versions.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" $(UPGRADE)

lock: ## pin dependencies: requirements.lock, requirements-shell.lock
	$(LOCK) --group dev --extra verify --output-file requirements.lock pyproject.toml
	$(LOCK) --output-file requirements-shell.lock requirements-shell.in
	$(LOCK) --output-file tests/peers/go.lock tests/peers/go.in

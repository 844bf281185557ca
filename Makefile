# make demo        set up, then run the six-configuration study on the built-in dataset
# make test        set up, then run the tests
# make test-fast   those that need neither TensorFlow nor many seconds: the ones to run while writing
# make setup       only prepare .venv
# make setup-core  prepare .venv for a device that only converts and verifies: no TensorFlow
# make lint        format check, lint and types
.PHONY: demo test test-fast setup setup-core lint lock clean
SHELL := /bin/bash
BIN := .venv/bin

demo: setup
	$(BIN)/dsr run --preset demo

# Two processes, a file in one of them: its fixtures are made once. In order, so that the longest do not come last.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST) tests

test-fast: setup
	$(PYTEST) -m "not tensorflow and not slow" tests

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p dsr
	$(BIN)/mypy examples/*.py

setup: .venv/installed

setup-core: .venv/installed-core

# Python 3.9-3.11 is what TensorFlow 2.14 runs on. A name on PATH is not enough (pyenv leaves shims of versions that are not
# active), so each candidate must run, be of a right version and be able to make an environment. PYTHON=... is tried first.
define make_venv
set -e; \
fits='import sys, venv, ensurepip; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))'; \
shopt -s nullglob; rm -rf .venv; \
for python in $(PYTHON) python3.11 python3.10 python3.9 python3 python \
    "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.{11,10,9}.*/bin/python; do \
  if "$$python" -c "$$fits" 2>/dev/null; then "$$python" -m venv .venv; break; fi; \
done; \
if [ ! -d .venv ] && command -v uv >/dev/null; then uv venv -q --seed --python 3.11 .venv; fi; \
if [ ! -d .venv ]; then \
  echo "dsr needs Python 3.9, 3.10 or 3.11 with its venv module: install one (Debian: apt install python3.11-venv) or uv, then run make again." >&2; \
  exit 1; \
fi
endef
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check

.venv/installed: requirements.lock requirements-core.in setup.py
	@$(make_venv)
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@ .venv/installed-core  # the core is part of it

.venv/installed-core: requirements-core.lock requirements-core.in setup.py
	@$(make_venv)
	$(PIP) -r requirements-core.lock
	$(PIP) --no-deps -e .
	@touch $@

# Exact versions for each supported Python; needs uv.
lock:
	uv pip compile --universal --python-version 3.9 --extra dev --no-annotate setup.py -o requirements.lock
	uv pip compile --universal --python-version 3.9 --no-annotate -c requirements.lock requirements-core.in -o requirements-core.lock

clean:
	rm -rf .venv build dist *.egg-info

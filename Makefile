# make demo   set up, then run the six-configuration study on the built-in dataset
# make test   set up, then run the tests
# make setup  only prepare .venv
# make lint   format check, lint and types
.PHONY: demo test setup lint lock clean
SHELL := /bin/bash
BIN := .venv/bin

demo: setup
	$(BIN)/dsr run --preset demo

test: setup
	$(BIN)/python -m pytest -q tests

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p dsr

setup: .venv/installed

# Python 3.9-3.11 is what TensorFlow 2.14 runs on. A name on PATH is not enough (pyenv leaves shims of versions that are not
# active), so each candidate must run, be of a right version and be able to make an environment.
.venv/installed: requirements.lock setup.py
	@set -e; \
	fits='import sys, venv, ensurepip; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))'; \
	shopt -s nullglob; rm -rf .venv; \
	for python in python3.11 python3.10 python3.9 python3 python \
	    "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.{11,10,9}.*/bin/python; do \
	  if "$$python" -c "$$fits" 2>/dev/null; then "$$python" -m venv .venv; break; fi; \
	done; \
	if [ ! -d .venv ] && command -v uv >/dev/null; then uv venv -q --seed --python 3.11 .venv; fi; \
	if [ ! -d .venv ]; then \
	  echo "dsr needs Python 3.9, 3.10 or 3.11 with its venv module: install one (Debian: apt install python3.11-venv) or uv, then run make again." >&2; \
	  exit 1; \
	fi
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Exact versions for each supported Python; needs uv.
lock:
	uv pip compile --universal --python-version 3.9 --extra dev --no-annotate setup.py -o requirements.lock

clean:
	rm -rf .venv build dist *.egg-info

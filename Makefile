# `make app` opens the dashboard, `make test` runs everything. Both set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: app setup test test-fast test-faults lint bench screenshots clean mutants

app: setup
	$(BIN)/streamlit run app.py --server.headless false

setup: $(VENV)/.app-installed

$(VENV)/.app-installed: requirements.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Length Transfer Lab needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -r requirements.txt
	touch $@

$(VENV)/.test-installed: $(VENV)/.app-installed pyproject.toml
	$(BIN)/pip install -q -e '.[test]'
	touch $@

test: $(VENV)/.test-installed lint
	sh tests/system_packages.sh
	$(BIN)/python -m pytest

# The faults of RELIABILITY.md at full size; about an hour.
test-faults: $(VENV)/.test-installed
	sh tests/system_packages.sh
	LGT_FAULTS=full $(BIN)/python -m pytest tests/faults --durations=0

test-fast: $(VENV)/.test-installed
	$(BIN)/python -m pytest -m 'not slow'

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.bench-installed: $(VENV)/.test-installed
	$(BIN)/pip install -q -e '.[test,bench]'
	touch $@

# All benchmarks, or `make bench NAMES="training evaluation"`; takes most of an hour and wants a quiet machine.
bench: $(VENV)/.bench-installed
	sh tests/system_packages.sh
	$(BIN)/python -m lgt bench $(NAMES)

screenshots: $(VENV)/.test-installed
	sh tests/system_packages.sh
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.mutants-installed: $(VENV)/.test-installed
	$(BIN)/pip install -q 'mutmut==3.8.1'
	touch $@

# Changes the code in every small way, one at a time, and counts what the tests notice; hours for everything.
# `make mutants ONLY=metrics` does one package. What survived, and why, is in docs/MUTANTS.md.
mutants: $(VENV)/.mutants-installed
	$(BIN)/python tests/mutants.py $(ONLY)

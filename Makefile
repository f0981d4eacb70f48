# TerraFusion SyncService. `make help` lists the targets; a fresh machine needs python3 (3.11 or newer), make and git.

PYTHON  ?= python3
PARCELS ?= 50000
VENV    := .venv
BIN     := $(VENV)/bin
CODE    := schemas consumers catalog syncservice gateway terrafusion tests
CORE    := --cov=consumers --cov=syncservice --cov=catalog --cov-report=term:skip-covered

.PHONY: help demo test test-fast test-all check format lock stop clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (this is $$($(PYTHON) --version)); set PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); sh .ci/install-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.installed ## local stack, synthetic county, full sync, live changes, verification (ONCE=1: then stop; PARCELS=N)
	$(BIN)/terrafusion demo --parcels $(PARCELS) $(if $(ONCE),--once)

test-fast: $(VENV)/.installed ## unit, property and contract tests, under a minute
	$(BIN)/python -m pytest -q -m "not stack and not slow" tests/unit tests/property tests/contract

test: $(VENV)/.installed ## the test suite, local stack included
	$(BIN)/python -m pytest -q -m "not slow" $(CORE) tests

test-all: $(VENV)/.installed ## everything, with the repetitions and the large data
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest -q $(CORE) tests

check: $(VENV)/.installed ## format, lint, types, import rules
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed ## mend formatting and what lint can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lock: $(VENV)/.installed ## resolve pyproject.toml into requirements.lock (hashes, no addresses)
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --quiet --output-file requirements.lock

stop: ## stop the local stack
	@test ! -x $(BIN)/terrafusion || $(BIN)/terrafusion stack down

clean: stop ## stop the stack, remove its state and the virtual environment
	rm -rf .terrafusion $(VENV)

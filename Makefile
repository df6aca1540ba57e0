# Saxaul's commands. `make` alone lists them. Everything is installed into .venv, nothing outside this folder.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV  := .venv
BIN   := $(VENV)/bin
ARGS  ?=
PIP   := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help demo serve test lint format bench docs clean

help: ## list these commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.ready ## a living demo village on http://127.0.0.1:8000 (PORT=… for another port)
	@$(if $(PORT),SAXAUL_PORT=$(PORT)) $(BIN)/saxaul demo $(ARGS)

serve: $(VENV)/.ready ## the engine alone, on SQLite in this folder unless SAXAUL_DATABASE_URL says otherwise
	@$(if $(PORT),SAXAUL_PORT=$(PORT)) $(BIN)/saxaul serve $(ARGS)

test: $(VENV)/.ready-test ## all tests, with real PostgreSQL, Redis and both official client SDKs (ARGS="-k name" for some)
	@$(BIN)/python -m tests.support.browser
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 $(ARGS)

lint: $(VENV)/.ready-test ## style and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.ready-test ## put the code into its one form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.ready-test ## renew what the documents take from the code
	$(BIN)/python -m tests.house.settings_table
	$(BIN)/python -m tests.realtime.describe
	$(BIN)/python -m tests.rules.docs_tables
	$(BIN)/python -m tests.rules.behaviour_page

bench: $(VENV)/.ready-load ## the benchmark table (minutes; nothing else should run beside it)
	$(BIN)/python -m loadtest $(ARGS)

clean: ## remove what these commands made, databases excepted
	rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis build dist

# The first Python that really runs, is new enough and can make an environment (version managers leave dead names in PATH).
$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if $$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo "Making $(VENV) with $$($$python --version)"; $$python -m venv $(VENV) && exit 0; \
	  fi; \
	done; \
	echo "Saxaul needs Python 3.11 or newer with its venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	echo "If you have one elsewhere: make PYTHON=/path/to/python3 demo" >&2; exit 1

# Stamps: an install runs again only when what it installs has changed.
$(VENV)/.ready: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing (about a minute the first time)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing with what the tests need (one to two minutes the first time)"
	@$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.ready

$(VENV)/.ready-load: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing with what the benchmark needs"
	@$(PIP) --editable '.[load,test]'
	@touch $@ $(VENV)/.ready $(VENV)/.ready-test

# Every target installs what it needs by itself; see `make help`.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# The pins in constraints.txt were resolved with Python 3.11, so that one is preferred where there are several.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
# The stamp's name holds a checksum of what decides the installation: nothing happens until one of them changes.
STAMP := $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | tr ' ' '-')
# Arguments for `kedro run`, as in `make run ARGS="--pipeline=simulation"`.
ARGS ?=

export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false
export DVC_NO_ANALYTICS := 1

.PHONY: help install run test lint format viz viz-build docs bench clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 11

install: $(STAMP) ## Create .venv and install into it (the other targets do so by themselves)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed and none was found; install it \
	(Debian: apt install python3-venv) or name it: make run PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev,ray,samples]'
	@rm -f $(VENV)/.installed-* && touch $@

run: $(STAMP) ## Run the whole flow on the embedded default, then name the report
	$(BIN)/kedro run $(ARGS)
	@test ! -f data/08_reporting/report.html || echo "Report: $(CURDIR)/data/08_reporting/report.html"

# A worker a core, to eight: more would mostly import and build the same fixtures. Work is stolen from the end of the
# others' lists, so that tests of a file, which share its fixtures, mostly stay together. ARGS=-n0 runs in one process.
test: $(STAMP) ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses=8 --dist=worksteal $(ARGS)

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## Format the code and sort the imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

viz: $(STAMP) ## Show the pipelines in the browser
	$(BIN)/kedro viz run $(ARGS)

viz-build: $(STAMP) ## Write the same as static files, with previews, to build/
	$(BIN)/kedro viz build --include-previews
	@echo "To look: $(BIN)/python -m http.server --directory build"

docs: $(STAMP) ## Check all data again and write what comes of it as pages, then name the first
	$(BIN)/python -m phys4d_kedro.data_docs $(ARGS)

bench: $(STAMP) ## Run every benchmark; results go to benchmarks/results
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean: ## Remove what runs and tools made; keeps data/01_raw and .venv
	find data -mindepth 2 ! -name .gitkeep ! -path 'data/01_raw/*' -delete
	rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis .viz dvclive mlflow.db mlruns *.log

# The developer's verbs. Each does its own set-up; `make run` and `make test` need only python3 with venv and its headers,
# a C compiler and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KERNEL := $(wildcard src/laurels/*/*.pyx src/laurels/*/*.pxi)

.DEFAULT_GOAL := help
.PHONY: help install run test check bench docs fuzz lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

$(VENV)/serve.stamp: requirements/serve.txt pyproject.toml setup.py $(KERNEL)
	@$(PYTHON) -c 'import sys, sysconfig, pathlib, venv; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' \
	  || { echo "Python's venv module or headers are missing. On Debian: apt install python3-venv python3-dev gcc make" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/serve.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/serve.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/bench.stamp: requirements/bench.txt $(VENV)/serve.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

install: $(VENV)/serve.stamp ## Install laurels into .venv/bin

run: $(VENV)/serve.stamp ## Serve on http://127.0.0.1:8000 (LAURELS_PORT, LAURELS_DATA, ... change it)
	exec $(BIN)/laurels serve

# Every line and branch has its test. Python 3.11 loses sight of some in commands that ask over HTTP: it stops tracing a
# task once another has been cancelled in it (python/cpython#106749, mended in 3.12).
test: $(VENV)/dev.stamp ## Run the tests, with branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=$$($(BIN)/python -c 'import sys; print(100 if sys.version_info >= (3, 12) else 99)')

check: $(VENV)/dev.stamp ## Lint, formatting and strict types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/bench.stamp ## Measure against the peers (needs wrk, nginx and redis-server); ARGS="--help" tells more
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/dev.stamp ## Write the generated pages of docs/
	$(BIN)/python docs/generate.py

fuzz: $(VENV)/dev.stamp ## Run the index under AddressSanitizer for SECONDS (60) from SEED (0)
	LAURELS_SANITIZE=1 $(BIN)/python setup.py --quiet build_ext --build-lib build/sanitized --build-temp build/sanitized-temp
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=1 PYTHONMALLOC=malloc \
	  $(BIN)/python -m tests.ranking.fuzz --kernel build/sanitized --seconds $(or $(SECONDS),60) --seed $(or $(SEED),0)

COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate --universal --python-version 3.11

lock: $(VENV)/dev.stamp ## Lock the newest allowed versions
	$(COMPILE) --upgrade --group build pyproject.toml -o requirements/serve.txt
	$(COMPILE) --upgrade --group test --group check --constraint requirements/serve.txt pyproject.toml -o requirements/dev.txt
	$(COMPILE) --upgrade --group bench --constraint requirements/serve.txt pyproject.toml -o requirements/bench.txt

clean: ## Remove what was built and installed, not the data
	rm -rf $(VENV) build src/*.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src -name '*.so' -delete

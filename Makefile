# The developer's commands. Each installs what it needs; `make run` needs only python3 with venv and its headers, a C
# compiler and make, and `make test` also npm. `make run PYTHON=python3.13` takes that Python from then on.

VENV := .venv
BIN := $(VENV)/bin
# The Python of .venv; empty if that is not whole, or was moved here.
VERSION := $(shell grep -qsF "$(CURDIR)/$(BIN)/python" $(BIN)/pip \
  && $(BIN)/python -c 'import pip, sys; print("Python", sys.version.split()[0])' 2>/dev/null)
PYTHON ?= $(if $(VERSION),$(BIN)/python,python3)
PIP := $(BIN)/pip --quiet --disable-pip-version-check
WHEELS := --no-deps --require-hashes --only-binary=:all:
KERNEL := $(shell find src -name '*.pyx' -o -name '*.pxi' -o -name '*.pxd')

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install run demo run-serverless install-cdk cdk test check bench docs fuzz pictures soak lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

TOO_OLD = Laurels needs Python 3.11 or newer, and $(PYTHON) is not. With another one: make run PYTHON=python3.11
MISSING = Python's venv module or headers, or a C compiler, are missing. On Debian: apt install python3-venv python3-dev gcc

# An environment that is not whole, or is another Python's than PYTHON, is made anew.
ifneq ($(VERSION),$(shell $(PYTHON) -V 2>&1))
.PHONY: $(BIN)/pip
endif
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(TOO_OLD)" >&2; exit 1; }
	@$(PYTHON) -c 'import os, shutil, sys, sysconfig, ensurepip, sqlite3, ssl; \
	  compiler = shutil.which((os.environ.get("CC") or sysconfig.get_config_var("CC")).split()[0]); \
	  sys.exit(not compiler or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
	  || { echo "$(MISSING)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/serve.stamp: $(BIN)/pip requirements/serve.txt pyproject.toml setup.py MANIFEST.in $(KERNEL)
	$(PIP) install --require-hashes -r requirements/serve.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/%.stamp: requirements/%.txt $(VENV)/serve.stamp
	$(PIP) install --require-hashes -r $<
	@touch $@

# The packages in the assets of Lambda's functions, and those of Lambda's own Python runtime.
build/wheels.stamp: requirements/function.txt requirements/lambda-runtime.txt infra/runtimes.py $(VENV)/serve.stamp
	rm -rf build/wheels build/lambda-runtime
	$(BIN)/python -m infra.runtimes
	$(PIP) install --require-hashes --target build/lambda-runtime -r requirements/lambda-runtime.txt
	@touch $@

# All that the tests install into environments of their own, so that they need no network.
build/wheelhouse.stamp: requirements/serve.txt requirements/serverless.txt $(VENV)/serve.stamp
	rm -rf build/wheelhouse
	$(PIP) download $(WHEELS) --dest build/wheelhouse -r requirements/serve.txt
	$(PIP) download $(WHEELS) --dest build/wheelhouse -r requirements/serverless.txt
	@touch $@

node_modules/.stamp: package-lock.json
	@command -v npm >/dev/null || { echo "Node.js is missing. On Debian: apt install nodejs npm" >&2; exit 1; }
	npm ci --silent --no-audit --no-fund
	@touch $@

install: $(VENV)/serve.stamp ## Install laurels into .venv/bin

run: $(VENV)/serve.stamp ## Serve on http://127.0.0.1:8000 (LAURELS_PORT, LAURELS_DATA, ... change it)
	exec $(BIN)/laurels serve

demo: $(VENV)/serve.stamp ## Serve boards with made-up players on them, at http://127.0.0.1:8000
	exec $(BIN)/laurels demo $(ARGS)

run-serverless: $(VENV)/serverless.stamp build/wheels.stamp ## Run the serverless stack locally on http://127.0.0.1:8000, without any account
	exec $(BIN)/python -m infra.local $(ARGS)

install-cdk: $(VENV)/infra.stamp build/wheels.stamp node_modules/.stamp ## Install what a deployment needs; then `npx cdk` works

cdk: install-cdk ## Run the CDK command, e.g. ARGS="deploy -c stageName=dev"
	node_modules/.bin/cdk $(ARGS)

# Compiled files are kept even where a machine's environment says otherwise: tests start hundreds of processes, and each
# would compile what it imports.
test soak: export PYTHONDONTWRITEBYTECODE :=

# All tests run in as many processes as there are cores; those that ARGS selects run in one, as -x and --pdb need it,
# unless it says "-n auto". Every line and branch is tested, which is checked unless ARGS selects tests. Python 3.11
# misses some lines of commands that call the service: it stops tracing a task once another has been cancelled in it
# (python/cpython#106749, fixed in 3.12).
test: $(VENV)/dev.stamp build/wheels.stamp build/wheelhouse.stamp node_modules/.stamp ## Run all tests with branch coverage, or some without: ARGS="-m 'not slow'"
ifneq ($(strip $(ARGS)),)
	$(BIN)/pytest $(ARGS)
else
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=$$($(BIN)/python -c 'import sys; print(100 if sys.version_info >= (3, 12) else 99)')
endif

check: $(VENV)/dev.stamp ## Lint, formatting and strict types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/bench.stamp build/wheels.stamp ## Measure Laurels and its peers (needs wrk, nginx and redis-server); ARGS="--help" lists the options
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/dev.stamp ## Write the generated pages of docs/
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/public_names.py
	$(BIN)/python -m bench.scale

fuzz: $(VENV)/dev.stamp ## Fuzz the index under AddressSanitizer for SECONDS (60) from SEED (0)
	LAURELS_SANITIZE=1 $(BIN)/python setup.py --quiet build_ext --build-lib build/sanitized --build-temp build/sanitized-temp
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=1 PYTHONMALLOC=malloc \
	  $(BIN)/python -m tests.ranking.fuzz --kernel build/sanitized --seconds $(or $(SECONDS),60) --seed $(or $(SEED),0)

pictures: $(VENV)/dev.stamp ## Take the pictures of a board's page, docs/board.png and build/pictures (needs chromium)
	$(BIN)/python docs/photograph.py $(ARGS)

soak: $(VENV)/dev.stamp build/wheels.stamp build/wheelhouse.stamp node_modules/.stamp ## Run the long forms of tests, for minutes each (needs redis-server); ARGS="--help" lists them
	$(BIN)/python -m tests.soak $(ARGS)

COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate --universal --python-version 3.11
LOCKED := build test check function lambda-runtime local infra
AS_DEV := --constraint requirements/dev.txt

lock: $(VENV)/dev.stamp ## Lock the newest versions that pyproject.toml allows
	$(COMPILE) --upgrade --extra momento --extra otel --extra redis --extra server $(patsubst %,--group %,$(LOCKED)) pyproject.toml -o requirements/dev.txt
	$(COMPILE) $(AS_DEV) --extra redis --extra server --group build pyproject.toml -o requirements/serve.txt
	$(COMPILE) $(AS_DEV) --extra momento --extra redis --group lambda-runtime --group local pyproject.toml -o requirements/serverless.txt
	$(COMPILE) $(AS_DEV) --extra momento --extra redis --group lambda-runtime --group local --group bench pyproject.toml -o requirements/bench.txt
	$(COMPILE) $(AS_DEV) --group function -o requirements/function.txt
	$(COMPILE) $(AS_DEV) --group lambda-runtime -o requirements/lambda-runtime.txt
	$(COMPILE) $(AS_DEV) --extra momento --extra redis --group infra pyproject.toml -o requirements/infra.txt
	npm install --package-lock-only --omit-lockfile-registry-resolved

clean: ## Remove everything built and installed; keep the data
	rm -rf $(VENV) build node_modules src/*.egg-info .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src -name '*.so' -delete

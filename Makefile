# smartnode: `make demo` and `make test` are each enough in a fresh clone; `make help` names the rest.
#
# Everything lives in .venv, installed from the hash-locked files in requirements/. Indexes and proxies come from the
# user's own pip configuration; none is named here.

VENV ?= .venv
PYTHONS ?= python3.13 python3.12 python3.11 python3
PYTEST_OPTIONS ?=

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input -qq
# Wheels only: a platform without them is told at once instead of compiling for an hour.
LOCKED := $(PIP) install --require-hashes --only-binary :all:
OWN := $(PIP) install --no-deps --no-index --no-build-isolation
SOURCES := $(shell find smartnode -name '*.py') pyproject.toml README.md LICENSE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check soak simulate bench lock clean

help: ## what each target does
	@sed -nE 's/^([a-z]+):[^#]*## /\1\t/p' Makefile | expand -t 8

# After `make test` the package in .venv is the checkout itself: the demo then runs from there.
INSTALLED := $(if $(wildcard $(VENV)/.dev),$(VENV)/.dev,$(VENV)/.demo)

demo: $(INSTALLED) ## a whole network on loopback: publish, fetch, lose the origin, recover every byte
	@$(VENV)/bin/smartnode demo

# A file's tests stay on one worker: those that run nodes share fixed loopback addresses within a file, never across.
test: check ## linters, types, import contracts and the tests (not the soak)
	$(PY) -m pytest -q -m "not soak" -n 3 --dist loadfile $(PYTEST_OPTIONS)

check: $(VENV)/.dev ## ruff, mypy --strict, import contracts, codespell
	$(VENV)/bin/ruff check --quiet
	$(VENV)/bin/ruff format --quiet --check
	$(VENV)/bin/mypy --no-error-summary
	$(VENV)/bin/lint-imports >$(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	$(VENV)/bin/codespell

soak: $(VENV)/.dev ## the long, seeded tests
	$(PY) -m pytest -m soak $(PYTEST_OPTIONS)

# One thread: the arrays are so small that waking a second one costs more than it brings (12 times, on busy cores).
simulate: $(VENV)/.dev ## fleets against the targets of the placement rule; SIMULATE_OPTIONS=--full adds 1,000 nodes
	OPENBLAS_NUM_THREADS=1 $(PY) benchmarks/placement_targets.py $(SIMULATE_OPTIONS)

# The locks are universal: CPython 3.11-3.13 on x86_64 and aarch64. An index of one's own would leave its name or its
# hashes in them, so none is used here. A file that exists is what uv prefers: all three agree on versions.
# Extras stay written: pip would take a newer release for "coverage[toml]" when only "coverage" is pinned, and refuse it.
COMPILE = env -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL UV_CUSTOM_COMPILE_COMMAND="make lock" \
	$(VENV)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --only-binary :all: --no-strip-extras $(LOCK_OPTIONS)

bench: $(VENV)/.dev ## what planning costs beside a sort of as many numbers
	OPENBLAS_NUM_THREADS=1 $(PY) benchmarks/planning_cost.py

lock: $(VENV)/.dev ## resolve requirements/*.txt again; LOCK_OPTIONS=--upgrade takes newer releases
	$(COMPILE) pyproject.toml --extra dev -o requirements/dev.txt
	cp requirements/dev.txt requirements/run.txt
	$(COMPILE) pyproject.toml -o requirements/run.txt
	cp requirements/dev.txt requirements/build.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt

clean: ## remove .venv, caches and builds
	rm -rf $(VENV) build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find smartnode tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@sh packaging/make-venv $(VENV) $(PYTHONS)
	@touch $@

$(VENV)/.locked: $(VENV)/.python requirements/run.txt requirements/build.txt
	@echo "installing the locked packages into $(VENV) ..."
	@$(LOCKED) -r requirements/run.txt -r requirements/build.txt
	@touch $@

$(VENV)/.demo: $(VENV)/.locked $(SOURCES)
	@$(OWN) .
	@touch $@

$(VENV)/.dev: $(VENV)/.python requirements/dev.txt requirements/build.txt pyproject.toml
	@echo "installing the locked packages and tools into $(VENV) ..."
	@$(LOCKED) -r requirements/dev.txt -r requirements/build.txt
	@$(OWN) --editable .
	@touch $@

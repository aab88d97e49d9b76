# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
# They need python3 (3.11 or later, with venv), git and make, and write nothing outside the checkout.

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYPROJECTS := $(wildcard packages/*/pyproject.toml)
PROBLEM := Lily can run 12 kilometers per hour for 4 hours. After that, she can run 6 kilometers per hour. \
	How many kilometers can she run in 8 hours?

export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Hundreds of processes start in the tests: without bytecode each would compile every package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve test test-slow setup check clean

help:
	@echo "make demo       answer a word problem with two algorithms, with the figures of each"
	@echo "make serve      serve the embedded model by the OpenAI API, with a page at http://127.0.0.1:8000"
	@echo "make test       run the tests but the slow ones, WORKERS=2 at a time"
	@echo "make test-slow  run the slow tests"
	@echo "make check      lint, types, layers, core_alone, wheels, site: what CI runs after the tests"
	@echo "make clean      remove $(VENV), caches and build outputs"

demo: $(STAMP)
	$(BIN)/llada generate "$(PROBLEM)" --algorithm basic --algorithm dual_cache

serve: $(STAMP)
	$(BIN)/llada serve $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup -m "not slow" $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup -m slow $(ARGS)

setup: $(STAMP)

check: $(STAMP)
	$(BIN)/python -m nox

clean:
	rm -rf $(VENV) .nox dist build docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find packages examples tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The build backend is among the requirements, so the packages are built without an isolated environment each.
$(STAMP): constraints.txt requirements-dev.txt $(PYPROJECTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation \
		$(foreach package,$(PYPROJECTS:/pyproject.toml=),-e $(package))
	touch $@

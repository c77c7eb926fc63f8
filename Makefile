# The whole development loop. Every target sets itself up: `make demo` or `make test` alone does everything.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := .venv/.installed
DOCS := $(BIN)/sphinx-build -W --keep-going -q -j $(WORKERS) -b html docs docs/_build/html

.PHONY: setup demo test test-fast fuzz check bench docs notebooks clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "sympe needs Python 3.11 or newer: make PYTHON=...")'
	@echo "Installing the versions of requirements.lock into .venv ..."
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)
	$(BIN)/sympe compare ising --preset demo --out runs/ising-demo

# One thread a worker: more would fight over the cores. Each worker takes tests that stand together, so that what a module
# trains once for all its tests is trained once, and then the rest of a slower one.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-fast: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

# Other inputs every time, for about ten minutes; `make test` has a few, always the same.
fuzz: $(STAMP)
	SYMPE_FUZZ=long OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/fuzz

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(DOCS)

bench: $(STAMP)
	$(BIN)/python -m benchmarks

docs: $(STAMP)
	$(DOCS)
	@echo "docs/_build/html/index.html"

notebooks: $(STAMP)
	$(BIN)/python -m docs.notebooks docs/_build/notebooks

# Leaves .venv and runs/ alone.
clean:
	rm -rf build dist docs/_build docs/api/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -not -path './.git/*' -prune -exec rm -rf {} +

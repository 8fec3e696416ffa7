# Two commands do everything: `make demo` and `make test`. Both make .venv on first use, `make demo` with what a user
# needs, `make test` with the rest (PyTorch, Qt, ...), and need no network afterwards.
# While one works, `make check`: lint, types, and the quick tests. `.venv/bin/pre-commit install` checks every commit.
# Python 3.12 where it is there, as Slicer has it: below it, a library of the scene miscounts references to None.
PYTHON ?= $(shell python3.12 -c "" 2>/dev/null && echo python3.12 || echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo-output
CONSTRAINTS := .ci/constraints.txt
# Files of tests side by side, one processor core each, in the order that Testing/Python/conftest.py gives them.
JOBS ?= 2
# A worker that crashes, or hangs (see pyproject.toml), is replaced once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 1

# Compiled modules are kept wherever this runs: the many processes that tests start would compile them again and again.
export PYTHONDONTWRITEBYTECODE :=

# Memory of large arrays is kept for the next ones: with the GNU C library, giving it back each time costs 3 % of a run.
export GLIBC_TUNABLES ?= glibc.malloc.mmap_threshold=268435456:glibc.malloc.trim_threshold=1073741824

.PHONY: demo test check resolve test-slicer-core lint types clean

# Bytecode is written of what is imported only: compiling all packages takes longer than the demo.
$(BIN)/.light: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint $(CONSTRAINTS) --editable ".[scene]"
	touch $@

$(BIN)/.ready: $(BIN)/.light
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[test]"
	touch $@

demo: $(BIN)/.light
	$(BIN)/python -m cineheart phantom --output $(DEMO)/study
	$(BIN)/python -m cineheart run $(DEMO)/study --output $(DEMO)/result
	@echo "Open $(DEMO)/result/report.html in a browser and $(DEMO)/result/scene.mrb in 3D Slicer."

test: $(BIN)/.ready
	$(PYTEST)

# While one works: all but the tests of more than about a second.
check: lint types
	$(PYTEST) -m "not slow"

# The scene and the panels with the scene libraries of other versions of Slicer: slicer-core and the VTK that it needs.
SLICER_CORES := 5.12.4.0/9.6.0 5.13.31053.0/9.6.2
# Every test file that needs the scene is run, so that none can be forgotten here.
SLICER_TESTS = $(shell grep -l 'importorskip("slicer")' Testing/Python/test_*.py)
test-slicer-core: $(BIN)/.ready
	for pair in $(SLICER_CORES); do \
	  core=$${pair%/*}; folder=build/slicer-core-$$core; \
	  test -d $$folder || $(BIN)/python -m pip install --quiet --no-deps --target $$folder \
	    slicer-core==$$core vtk==$${pair#*/} || exit 1; \
	  PYTHONPATH=$$folder $(PYTEST) $(SLICER_TESTS) || exit 1; \
	done

# Whether pip finds wheels of what a user needs, for every system, with the NumPy of Slicer 5.10 and 5.12. Asks an index.
resolve: $(BIN)/.light
	$(BIN)/python .ci/resolve.py

lint: $(BIN)/.ready
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(BIN)/.ready
	$(BIN)/python -m mypy

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info

# Two commands do everything: `make demo` and `make test`. Both make .venv on first use and need no network afterwards.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-output
CONSTRAINTS := .ci/constraints.txt

.PHONY: demo test lint clean

$(BIN)/.ready: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[test]"
	touch $@

demo: $(BIN)/.ready
	$(BIN)/python -m cineheart phantom --output $(DEMO)/study
	$(BIN)/python -m cineheart run $(DEMO)/study --output $(DEMO)/result
	@echo "Open $(DEMO)/result/report.html in a browser and $(DEMO)/result/scene.mrb in 3D Slicer."

test: $(BIN)/.ready
	$(BIN)/python -m pytest

lint: $(BIN)/.ready
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info

# What CI runs is what stands here: make test, make check.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

.PHONY: demo bench bench-large test test-pythons check fix coverage clean help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMPS)/run  ## set up, compose the bundled mix, validate it, show what went in
	@mkdir -p build
	@$(BIN)/teapot compose configs/quickstart.config -o build/train-quickstart.jsonl
	@$(BIN)/teapot validate compose build/train-quickstart.jsonl
	@echo
	@echo "Next: read build/train-quickstart.jsonl, change a weight in configs/quickstart.config, and run make demo again."

test: $(STAMPS)/test  ## run every test (no network, no data beyond this checkout)
	$(BIN)/python -m pytest -n $(shell nproc 2>/dev/null || echo 2) --dist loadfile -q

PYTHONS ?= python3.10 python3.12 python3.13

test-pythons: $(STAMPS)/test  ## the golden project under other Pythons: PYTHONS="python3.10 ..."
	@mkdir -p build; for p in $(PYTHONS); do d=build/$$(basename $$p)-$$(echo $$p | cksum | cut -d' ' -f1); \
	  test -d $$d || { $$p -m venv $$d && $$d/bin/pip install -q --disable-pip-version-check -e .; } || exit 1; \
	  echo $(CURDIR)/$$d/bin/python; done > build/pythons
	TEAPOT_PYTHONS="$$(tr '\n' ' ' < build/pythons)" $(BIN)/python -m pytest -q tests/test_determinism.py -k pythons

check: $(STAMPS)/check  ## ruff, ruff format, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(STAMPS)/check  ## mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(STAMPS)/test  ## branch coverage of teapot/, at least 95 %
	$(BIN)/python -m pytest -n $(shell nproc 2>/dev/null || echo 2) --dist loadfile -q --cov --cov-report=term --cov-fail-under=95

bench: $(STAMPS)/run build/bench-venv/.ready  ## Teapot beside its peers at 162 MB; writes docs/performance.md (minutes)
	$(BIN)/python -m benchmarks.run S

bench-large: $(STAMPS)/run build/bench-venv/.ready  ## the same at 1.6 and 8.1 GB (needs about 57 GB of free disk)
	$(BIN)/python -m benchmarks.run M L

build/bench-venv/.ready: benchmarks/requirements.txt
	@$(PYTHON) -m venv build/bench-venv
	@build/bench-venv/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@

clean:  ## remove what the targets made
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@echo "Setting up $(VENV) (about a minute the first time)"
	@$(PYTHON) -m venv $(VENV)
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check --upgrade pip

$(STAMPS)/run: pyproject.toml | $(BIN)/python
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: pyproject.toml | $(BIN)/python
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check -e . --group test
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/run

$(STAMPS)/check: pyproject.toml $(STAMPS)/test | $(BIN)/python
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check --group check
	@mkdir -p $(STAMPS) && touch $@

# What CI runs is what stands here: make test, make check.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

.PHONY: test-train test-ray fuzz test-templates demo bench bench-large test faults mutants test-pythons check fix coverage clean help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMPS)/run  ## set up, compose the bundled mix, validate it, show what went in
	@mkdir -p build
	@$(BIN)/teapot compose configs/quickstart.config -o build/train-quickstart.jsonl
	@$(BIN)/teapot validate compose build/train-quickstart.jsonl
	@echo
	@echo "Next: read build/train-quickstart.jsonl, change a weight in configs/quickstart.config, and run make demo again."

CPUS := $(shell nproc 2>/dev/null || echo 2)
REPORT := $(CURDIR)/build/faults/report.jsonl

# $(1): which tests. One process more than there are CPUs, because some tests wait for what must not happen.
define try_faults
	@mkdir -p $(dir $(REPORT)) && rm -f $(REPORT)
	@TEAPOT_FAULTS=all TEAPOT_FAULT_REPORT=$(REPORT) $(BIN)/python -m pytest -n $$(($(CPUS) + 1)) --dist worksteal -q \
	  -p tests.faults.elsewhere $(1); code=$$?; \
	  $(BIN)/python -m tests.faults.table $(REPORT) && exit $$code
endef

test: $(STAMPS)/test  ## run every test (no network, no data beyond this checkout); FAULTS=all: with every fault, as CI does
ifeq ($(FAULTS),all)
	$(call try_faults,)
else
	$(BIN)/python -m pytest -n $(CPUS) --dist loadfile -q
endif

faults: $(STAMPS)/test  ## try every fault, and say by guarantee how many were silently wrong (minutes)
	$(call try_faults,tests/faults $$($(BIN)/python -m tests.faults.elsewhere))

mutants: $(STAMPS)/test  ## break each guarantee on purpose in a copy: a test must notice every time; writes docs/mutants.md (half an hour)
	$(BIN)/python -m tests.mutants.run

FUZZ_RUNS ?= 1000000
FUZZ_JOBS ?= $(CPUS)

fuzz: build/fuzz-venv/.ready  ## fuzz every reader with atheris, guided by coverage: FUZZ_RUNS=10000000 FUZZ_JOBS=2 (docs/fuzzing.md)
	build/fuzz-venv/bin/python -m tests.fuzz.all $(FUZZ_RUNS) $(FUZZ_JOBS) $(FUZZ_TARGETS)

build/fuzz-venv/.ready: pyproject.toml
	@$(PYTHON) -m venv build/fuzz-venv
	@PYTHONWARNINGS=ignore build/fuzz-venv/bin/python -m pip install -q --disable-pip-version-check -e . "atheris==3.0.0"
	@touch $@

test-templates: $(STAMPS)/test build/templates-venv/.ready  ## templates beside the models' own and beside transformers (downloads both); writes docs/templates-table.md
	$(BIN)/python -m tests.templates.table
	build/templates-venv/bin/python -m pytest -q -rs tests/templates

build/templates-venv/.ready: pyproject.toml
	@$(PYTHON) -m venv build/templates-venv
	@build/templates-venv/bin/python -m pip install -q --disable-pip-version-check --upgrade pip
	@build/templates-venv/bin/python -m pip install -q --disable-pip-version-check -e . --group test "transformers>=5,<6" "jinja2>=3.1.6"
	@touch $@

test-ray: build/ray-venv/.ready  ## the Ray engine with Ray itself, on one node and two, with workers and nodes lost (minutes)
	build/ray-venv/bin/python -m pytest -q tests/ray

build/ray-venv/.ready: pyproject.toml
	@$(PYTHON) -m venv build/ray-venv
	@PYTHONWARNINGS=ignore build/ray-venv/bin/python -m pip install -q --disable-pip-version-check --upgrade pip
	@PYTHONWARNINGS=ignore build/ray-venv/bin/python -m pip install -q --disable-pip-version-check -e ".[ray]" --group test
	@touch $@

TRAINERS := train unsloth axolotl llamafactory

test-train: $(TRAINERS:%=build/%-venv/.ready)  ## train tiny models with the real trainers, from the launchers that Teapot writes (some GB, minutes)
	@mkdir -p build/train && rm -f build/train/report.jsonl
	TRAINED=$(CURDIR)/build/train/report.jsonl build/train-venv/bin/python -m pytest -q -rs tests/train
	build/train-venv/bin/python -m tests.train.table build/train/report.jsonl

# torch comes first and exactly, so that nothing else chooses a build of it
build/train-venv/.ready: pyproject.toml tests/train/requirements.txt
	@$(PYTHON) -m venv build/train-venv
	@build/train-venv/bin/python -m pip install -q --disable-pip-version-check --upgrade pip
	@build/train-venv/bin/python -m pip install -q --disable-pip-version-check "$$(grep '^torch==' tests/train/requirements.txt)"
	@build/train-venv/bin/python -m pip install -q --disable-pip-version-check -r tests/train/requirements.txt -e . --group test
	@touch $@

build/unsloth-venv/.ready: tests/train/requirements-unsloth.txt teapot/training/backends/unsloth.py
	@$(PYTHON) -m venv build/unsloth-venv
	@build/unsloth-venv/bin/python -m pip install -q --disable-pip-version-check --upgrade pip
	@build/unsloth-venv/bin/python -m pip install -q --disable-pip-version-check "$$(grep '^torch==' tests/train/requirements-unsloth.txt)"
	@build/unsloth-venv/bin/python -m pip install -q --disable-pip-version-check -r tests/train/requirements-unsloth.txt
	@build/unsloth-venv/bin/python -m pip install -q --disable-pip-version-check --no-deps $$(grep -oE '(unsloth|unsloth_zoo)==[0-9.]+' teapot/training/backends/unsloth.py)
	@touch $@

build/axolotl-venv/.ready: tests/train/accept/axolotl.txt
	@$(PYTHON) -m venv build/axolotl-venv
	@build/axolotl-venv/bin/python -m pip install -q --disable-pip-version-check "$$(grep '^torch==' $<)"
	@build/axolotl-venv/bin/python -m pip install -q --disable-pip-version-check -r $<
	@build/axolotl-venv/bin/python -m pip install -q --disable-pip-version-check --no-deps axolotl==0.19.0
	@touch $@

# torchaudio is imported for sound alone, and has no build for a CPU: an empty module stands for it
build/llamafactory-venv/.ready: tests/train/accept/llamafactory.txt
	@$(PYTHON) -m venv build/llamafactory-venv
	@build/llamafactory-venv/bin/python -m pip install -q --disable-pip-version-check "$$(grep '^torch==' $<)"
	@build/llamafactory-venv/bin/python -m pip install -q --disable-pip-version-check -r $<
	@build/llamafactory-venv/bin/python -m pip install -q --disable-pip-version-check --no-deps llamafactory==0.9.5
	@build/llamafactory-venv/bin/python -c 'import pathlib, sysconfig; p = pathlib.Path(sysconfig.get_path("purelib"), "torchaudio"); p.mkdir(exist_ok=True); (p / "__init__.py").touch()'
	@touch $@

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
	$(BIN)/python -m pytest -n $(CPUS) --dist loadfile -q --cov --cov-report=term --cov-fail-under=95

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

COMPILED := setup.py $(wildcard teapot/engine/native/*)

$(STAMPS)/run: pyproject.toml $(COMPILED) | $(BIN)/python
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: pyproject.toml $(COMPILED) | $(BIN)/python
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check -e . --group test
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/run

$(STAMPS)/check: pyproject.toml $(STAMPS)/test | $(BIN)/python
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check --group check
	@mkdir -p $(STAMPS) && touch $@

# Nothing but Python >= 3.11 and make is needed: everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.PHONY: demo test test-slow test-kills test-fuzz test-gpu lint types docs settings wheel-check benchmark \
	benchmark-gpu clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable . --group dev
	touch $@

demo: $(VENV)/installed  ## train the quickstart, show its test accuracy and noise curve
	AVSNN_HOME=$${AVSNN_HOME:-$(CURDIR)/demo} $(BIN)/avsnn run quickstart

test: $(VENV)/installed  ## the tests that every change must pass
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=10

test-slow: $(VENV)/installed  ## kill -9, real data end to end, every network; prints its times
	$(BIN)/python -m pytest -m slow --durations=0

test-kills: $(VENV)/installed  ## KILLS=500 kill -9, in every stage; the counts are printed
	$(BIN)/python -m pytest -m kills

test-gpu: $(VENV)/installed  ## needs a CUDA device
	$(BIN)/python -m pytest -m gpu

test-fuzz: $(VENV)/installed  ## damaged inputs of every kind, AVSNN_FUZZ_MINUTES (10) from AVSNN_FUZZ_SEED (0)
	$(BIN)/python -m pytest -m fuzz tests/fuzz

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

# not --quiet, which hides the warnings that --strict counts
docs: $(VENV)/installed  ## the documentation as a site, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

settings: $(VENV)/installed  ## write docs/settings.md anew, from the settings' own descriptions
	$(BIN)/python -m avsnn_cli.settings_page

wheel-check: $(VENV)/installed  ## build the wheel and use it outside the checkout
	$(BIN)/python tests/wheel_check.py

benchmark: $(VENV)/installed  ## side by side, on the CPU; writes benchmarks/results/*.json
	$(BIN)/python benchmarks/run.py

benchmark-gpu: $(VENV)/installed  ## the same on a CUDA device
	$(BIN)/python benchmarks/run.py --device cuda

clean:
	rm -rf $(VENV) demo dist site .pytest_cache .mypy_cache .ruff_cache

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

demo: $(VENV)/installed  ## Train the quickstart and show its test accuracy and noise curve.
	AVSNN_HOME=$${AVSNN_HOME:-$(CURDIR)/demo} $(BIN)/avsnn run quickstart

test: $(VENV)/installed  ## Run the tests that every change must pass.
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=10

test-slow: $(VENV)/installed  ## Run the slow tests: kill -9, real data end to end, every network. Prints the time of each.
	$(BIN)/python -m pytest -m slow --durations=0

test-kills: $(VENV)/installed  ## Kill every stage with kill -9, KILLS times (500) in all. Prints the counts.
	$(BIN)/python -m pytest -m kills

test-gpu: $(VENV)/installed  ## Run the tests that need a CUDA device.
	$(BIN)/python -m pytest -m gpu

test-fuzz: $(VENV)/installed  ## Read damaged inputs of every kind for AVSNN_FUZZ_MINUTES (10), from AVSNN_FUZZ_SEED (0).
	$(BIN)/python -m pytest -m fuzz tests/fuzz

lint: $(VENV)/installed  ## Check the code with ruff.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed  ## Check the types with mypy.
	$(BIN)/mypy

# not --quiet, which hides the warnings that --strict turns into errors
docs: $(VENV)/installed  ## Build the documentation in site/. A broken link is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

settings: $(VENV)/installed  ## Write docs/settings.md from the descriptions of the settings.
	$(BIN)/python -m avsnn_cli.settings_page

wheel-check: $(VENV)/installed  ## Build the wheel and use it outside the checkout.
	$(BIN)/python tests/wheel_check.py

benchmark: $(VENV)/installed  ## Measure the speed on the CPU. Writes benchmarks/results/*.json.
	$(BIN)/python benchmarks/run.py

benchmark-gpu: $(VENV)/installed  ## Measure the speed on a CUDA device.
	$(BIN)/python benchmarks/run.py --device cuda

clean:  ## Remove what the other targets have built.
	rm -rf $(VENV) demo dist site .pytest_cache .mypy_cache .ruff_cache

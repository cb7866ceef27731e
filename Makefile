# Every target that CI calls, and no other way to do the same thing.
.DEFAULT_GOAL := help
.PHONY: help setup simulate test lint protos bench bench-simulate bench-federated clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# torch and onnxruntime spin on shared cores unless told not to.
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/.installed: pyproject.toml constraints.txt deploy/broker/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(PYTHON) -m venv $(VENV)/broker
	$(VENV)/broker/bin/python -m pip install --quiet --requirement deploy/broker/requirements.txt
	@touch $@

setup: $(VENV)/.installed ## make .venv, and the embedded broker's own environment inside it

simulate: setup ## train, ship, run a simulated fleet, write the report (ARGS='--seed 1 --retrain')
	$(BIN)/nestling-sim run $(ARGS)

test: setup ## run every test (ARGS='-k policy')
	$(BIN)/python -P -m pytest $(ARGS)

lint: setup ## ruff, mypy strict, import layers, generated protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" protos/generate.sh --check

protos: setup ## regenerate the Python beside every .proto
	PATH="$(CURDIR)/$(BIN):$$PATH" protos/generate.sh

bench: bench-simulate bench-federated ## every benchmark, in full

bench-simulate: setup ## the default scenario over 3 seeds -> docs/results/simulate.*
	$(BIN)/python benchmarks/simulate.py $(ARGS)

bench-federated: setup ## the federated scenario over 3 seeds -> docs/results/federated.*
	$(BIN)/python benchmarks/federated.py $(ARGS)

clean: ## remove what the targets made, the trained bundles in the user's cache excepted
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

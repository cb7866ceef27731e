# Every target that CI calls, and no other way to do the same thing.
.DEFAULT_GOAL := help
.PHONY: help setup simulate test test-fresh test-arm64 lint protos screenshots clean
.PHONY: bench bench-simulate bench-console bench-federated bench-learning bench-routing

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
JOBS ?= 2

# torch and onnxruntime spin on shared cores unless told not to.
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE
# .venv has its own packages, whatever the caller's Python looks for.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) deploy/development/environment.py $(VENV) \
	  --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(VENV)/.installed ## make .venv with everything for development

simulate: setup ## train, ship, run a simulated fleet, write the report (ARGS='--seed 1 --retrain')
	$(BIN)/nestling-sim run $(ARGS)

# Every worker makes the session's fixtures, and files stay whole, so that a module's are made once.
test: setup ## run every test (ARGS='-k policy'; JOBS=1 for one process)
	OMP_NUM_THREADS=1 $(BIN)/python -P -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

test-fresh: ## simulate and test on a bare Debian, from a clean clone (ARGS=trixie)
	tests/fresh/run.sh $(ARGS)

test-arm64: setup ## the device as a Raspberry Pi 4 runs it, emulated (root, debootstrap, qemu-user-static)
	PYTHON=$(CURDIR)/$(BIN)/python tests/arm64/run.sh

lint: setup ## ruff, mypy strict, import layers, generated protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" protos/generate.sh --check

protos: setup ## regenerate the Python beside every .proto
	PATH="$(CURDIR)/$(BIN):$$PATH" protos/generate.sh

bench: bench-simulate bench-console bench-federated bench-learning bench-routing ## every benchmark, in full

bench-simulate: setup ## the default scenario over 3 seeds -> docs/results/simulate.*
	$(BIN)/python -m benchmarks.simulate $(ARGS)

bench-console: setup ## the console and the ingest over 10,000 devices -> docs/results/console.*
	$(BIN)/python -m benchmarks.console $(ARGS)

bench-federated: setup ## the federated scenario over 3 seeds -> docs/results/federated.*
	$(BIN)/python -m benchmarks.federated $(ARGS)

bench-learning: setup ## teachers, nests and their comparisons, some 2 hours, resumable -> docs/results/learning.*
	$(BIN)/python -m benchmarks.learning $(ARGS)

bench-routing: setup ## all routers on the learning benchmark's models, resumable -> docs/results/routing.*
	$(BIN)/python -m benchmarks.routing $(ARGS)

screenshots: setup ## pictures of the console over a small fleet -> docs/images/console-*.png
	$(BIN)/python -m benchmarks.screenshots

clean: ## remove what the targets made, the trained bundles in the user's cache excepted
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

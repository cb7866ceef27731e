# CI calls these same targets.
.DEFAULT_GOAL := help
.PHONY: help setup simulate test test-fresh test-arm64 test-gpu lint protos screenshots clean
.PHONY: bench bench-simulate bench-console bench-federated bench-learning bench-routing bench-streams bench-offload bench-tasks

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
JOBS ?= 2

# Otherwise the idle threads of torch and onnxruntime spin, which slows down shared cores.
export OMP_NUM_THREADS ?= 2
export OMP_WAIT_POLICY ?= PASSIVE
# .venv must use its own packages, whatever the caller's environment sets.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) deploy/development/environment.py $(VENV) \
	  --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(VENV)/.installed ## create .venv with everything for development

simulate: setup ## train a bundle, run a simulated fleet, write the report (ARGS='--seed 1 --retrain')
	$(BIN)/nestling-sim run $(ARGS)

# Each worker makes the session fixtures; whole files per worker, so that module fixtures are made once.
test: setup ## run every test (ARGS='-k policy'; JOBS=1 for one process)
	OMP_NUM_THREADS=1 $(BIN)/python -P -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

test-fresh: ## simulate and test on a bare Debian, from a clean clone (ARGS=trixie)
	tests/fresh/run.sh $(ARGS)

test-arm64: setup ## run the device on an emulated Raspberry Pi 4 (needs root, debootstrap, qemu-user-static)
	PYTHON=$(CURDIR)/$(BIN)/python tests/arm64/run.sh

test-gpu: setup ## run the tests that need a graphics processor
	OMP_NUM_THREADS=1 $(BIN)/python -P -m pytest -m gpu tests $(ARGS)

lint: setup ## check style, types, import layers and generated protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" protos/generate.sh --check

protos: setup ## regenerate the Python code from every .proto
	PATH="$(CURDIR)/$(BIN):$$PATH" protos/generate.sh

bench: bench-simulate bench-console bench-federated bench-learning bench-routing bench-streams bench-offload bench-tasks ## run every benchmark in full

bench-simulate: setup ## benchmark the default scenario over 5 seeds -> docs/results/simulate.*
	$(BIN)/python -m benchmarks.simulate $(ARGS)

bench-console: setup ## benchmark console and ingest with 10,000 devices -> docs/results/console.*
	$(BIN)/python -m benchmarks.console $(ARGS)

bench-federated: setup ## benchmark the federated scenario over 3 seeds -> docs/results/federated.*
	$(BIN)/python -m benchmarks.federated $(ARGS)

bench-learning: setup ## compare teachers and nests, about 2 hours, resumable -> docs/results/learning.*
	$(BIN)/python -m benchmarks.learning $(ARGS)

bench-routing: setup ## compare routers, resumable -> docs/results/routing.*
	$(BIN)/python -m benchmarks.routing $(ARGS)

bench-streams: setup ## measure the stream filter, about an hour, resumable -> docs/results/streams.*
	$(BIN)/python -m benchmarks.streams $(ARGS)

bench-offload: setup ## measure the bytes of offloads, and a server under load -> docs/results/offload.*
	$(BIN)/python -m benchmarks.offload $(ARGS)

bench-tasks: setup ## measure tasks of every kind from their folders, resumable -> docs/results/tasks.*
	$(BIN)/python -m benchmarks.tasks $(ARGS)

screenshots: setup ## take screenshots of the console and a report -> docs/images/*.png
	$(BIN)/python -m benchmarks.screenshots

clean: ## remove everything that the targets made, except the bundles in the user's cache
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

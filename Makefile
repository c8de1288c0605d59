PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PARTS := --editable ./clients/python --editable ./models ./protos
PROTOS := $(shell find protos -name '*.proto')
DISTRIBUTIONS := pyproject.toml constraints.txt clients/python/pyproject.toml models/pyproject.toml \
	protos/pyproject.toml protos/hatch_build.py $(PROTOS)
IMAGE := clients/typescript/build/ghostback.binpb
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm --loglevel=error --prefix clients/typescript
DATA ?=
MODELS ?= lightgbm_steps lstm cnn_lstm_joint cnn_lstm social_cnn_lstm scene_transformer

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-live demo-rollout test lint types contract typescript up soak train study bench-ingest bench-live bench-predict bench-models bench-score bench-decisions bench-telemetry bench-tls bench-rollouts bench-season figures screen clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.venv/.suite: $(DISTRIBUTIONS)
	@echo "Setting up .venv (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=...")'
	@$(PYTHON) -m venv .venv
	@$(PIP) --editable . $(PARTS)
	@touch $@

.venv/.dev: .venv/.suite
	@echo "Adding the tools for tests and training"
	@$(PIP) --editable '.[dev,training]' $(PARTS)
	@touch $@

.venv-triton/.ready: deploy/triton/install.py deploy/triton/requirements.txt deploy/triton/backends/onnxruntime/model.py
	@echo "Setting up .venv-triton"
	@$(PYTHON) deploy/triton/install.py --venv .venv-triton
	@touch $@

setup: .venv/.suite .venv-triton/.ready ## Make the virtual environments

demo: setup ## Run the whole chain on a simulated game, or on DATA=<folder>, and write a report
	@$(BIN)/python -m demo $(if $(DATA),--data $(DATA))

demo-live: setup ## Stream a simulated game as fast as it happens, and print a line for each thing that is known
	@$(BIN)/python -m demo.live

demo-rollout: setup .venv/.dev ## Roll out a better, a worse and a crashing version while simulated games are played
	@$(BIN)/python -m demo.rollout

up: setup ## Run Triton and the services until Ctrl-C
	@$(BIN)/python -m deploy.local

lint: .venv/.dev ## Check style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/.dev ## Check types
	@$(BIN)/mypy

contract: .venv/.dev ## Check that the contract breaks nothing that was released, and say what to do instead
	@$(BIN)/python -m protos.compatibility
	@$(BIN)/ghostback contract verify protos/contracts

clients/typescript/gen/.ready: .venv/.dev $(PROTOS) $(addprefix clients/typescript/,package-lock.json buf.gen.yaml)
	@echo "Generating the TypeScript stubs"
	@$(NPM) ci --no-audit --no-fund --prefer-offline
	@mkdir -p $(dir $(IMAGE))
	@$(BIN)/python -m grpc_tools.protoc -Iprotos -I"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
		--include_imports --include_source_info --descriptor_set_out=$(IMAGE) \
		$(patsubst protos/%,%,$(PROTOS)) google/rpc/error_details.proto
	@$(NPM) run --silent generate
	@touch $@

typescript: clients/typescript/gen/.ready ## Generate the TypeScript stubs and check the types of what uses them
	@$(NPM) run --silent check

test: setup lint types typescript ## Run every test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

soak: setup .venv/.dev ## Long trials, SECONDS=<n> each (default 600): faults under load, hostile clients, mutated requests, rollouts
	@for trial in chaos hostile decoders; do $(BIN)/python -m tests.soak $$trial --seconds $(or $(SECONDS),600) || exit 1; done
	@GHOSTBACK_STORM_CALLS=10000 $(BIN)/python -m pytest tests/faults/test_rollouts.py

train: .venv/.dev ## Train the default model again; others by `python -m training NAME --setting SETTING`
	@$(BIN)/python -m training scene_transformer --setting live

study: .venv/.dev ## Train every model with three seeds, as many at a time as there are cores
	@$(BIN)/python -m training.study $(MODELS) --setting live

bench-ingest: .venv/.dev ## Send a season of samples to ingest, beside a bare stream, no server, and pandas
	@$(BIN)/python -m benchmarks.ingest

bench-live: setup .venv/.dev ## Time completion probabilities from the last tag of the throw, in 1 and 16 live games
	@$(BIN)/python -m benchmarks.live

bench-predict: setup ## Time PredictGhosts beside the model called directly
	@$(BIN)/python -m benchmarks.predict

bench-models: .venv/.dev ## Hold every model against passes no training saw, simulated from SEED=<n> or of DATA=<folder>
	@$(BIN)/python -m benchmarks.models $(if $(SEED),--seed $(SEED)) $(if $(DATA),--data $(DATA))

bench-score: .venv/.dev ## Score players, model and spoiled trajectories beside the published figures, likewise
	@$(BIN)/python -m benchmarks.score experiment $(if $(SEED),--seed $(SEED)) $(if $(DATA),--data $(DATA) --draws 20)

bench-decisions: setup .venv/.dev ## Throw every pass to every receiver many times in the simulator, beside what decisions say
	@$(BIN)/python -m benchmarks.decisions

bench-telemetry: setup .venv/.dev ## Time PredictGhosts with no traces recorded, 1% and all
	@$(BIN)/python -m benchmarks.telemetry

bench-tls: setup .venv/.dev ## Time PredictTensors under mutual TLS beside plaintext
	@$(BIN)/python -m benchmarks.tls

bench-rollouts: .venv/.dev ## Simulate rollouts: how often an equal candidate is rolled back, how soon a worse one is caught
	@$(BIN)/python -m benchmarks.rollouts

bench-season: setup .venv/.dev ## Compute the statistics of 1 to 17 weeks again, on Dask
	@$(BIN)/python -m benchmarks.season

figures: .venv/.dev ## Hold the simulator against public figures, and against real movement with DATA=<folder>
	@$(BIN)/python -m simulator.figures $(if $(DATA),--data $(DATA)) --out out/figures

screen: .venv/.dev ## Screen candidate features on simulated games, or those of DATA=<folder>
	@$(BIN)/python -m training.screening $(if $(DATA),--data $(DATA)) --out out/screening

clean: ## Remove everything made here
	rm -rf .venv .venv-triton build out .run $(addprefix clients/typescript/,build gen node_modules)

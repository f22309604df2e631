# Each target is one thing a person does here. `make demo` and `make test` do their own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
UV := UV_PYTHON_DOWNLOADS=never .tools/bin/uv
# PYTHONSAFEPATH keeps the folders at the root (datasets, training, …) from being imported by their bare names.
export PYTHONSAFEPATH := 1
export MLFLOW_DISABLE_TELEMETRY := true
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: help setup demo test browser check unit unit-training unit-others format protos lock bench docker clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## Make the environment and install system libraries that rendering needs

.tools/bin/uv:
	$(PYTHON) tools/bootstrap.py .tools

.venv/.ready: requirements.lock pyproject.toml | .tools/bin/uv
	bash tools/system_libraries.sh
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: .venv/.ready ## Render, train, judge, export, promote, serve and segment; writes demo/index.html
	$(BIN)/isthmus demo --output demo

test: .venv/.ready browser check unit ## Set up, check and test everything

browser: ## Find or install the browser that the report page is tested in
	bash tools/browser.sh

check: .venv/.ready ## Lint, types, import rules, Dockerfile, protos, host names
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/buf lint
	$(BIN)/python tools/guard_files.py

unit: .venv/.ready ## Run the tests without the checks
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target unit-training unit-others
	$(BIN)/pytest --numprocesses 2 --dist loadfile tests/serving

# Two plain processes side by side, of about one length: these tests fork data loaders, which xdist's threads do not bear.
unit-training: .venv/.ready
	$(BIN)/pytest tests/training --ignore tests/training/release

unit-others: .venv/.ready
	$(BIN)/pytest --ignore tests/serving --ignore tests/training/madan --ignore tests/training/randomization \
	  --ignore-glob 'tests/training/test_*.py'

format: .venv/.ready ## Format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: .venv/.ready ## Regenerate the code of protos/
	$(BIN)/python tools/generate_protos.py

lock: .tools/bin/uv ## Resolve the dependencies again and write the three lock files
	bash tools/lock.sh

docker: ## Build the serving image; EXTRA=gpu for CUDA
	docker build --build-arg EXTRA=$(or $(EXTRA),cpu) --tag isthmus-serve:$(or $(EXTRA),cpu) .

clean: ## Remove environments, caches and what the demo made
	rm -rf .venv .tools demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

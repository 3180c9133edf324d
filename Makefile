# Wabawatch: everything a person types. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Wabawatch needs Python 3.11 or later; set PYTHON=python3.12, say" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# Everything that is installed is pinned with its hash; the pins are complete, so that pip resolves nothing. Two steps,
# because a folder has no hash: first what the package needs and what builds it, then the package itself.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
ITSELF = --no-deps --no-build-isolation --editable .

.venv/.run: .venv/bin/python pyproject.toml requirements/run.txt
	$(INSTALL) --require-hashes --no-deps -r requirements/run.txt
	$(INSTALL) $(ITSELF)
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml requirements/dev.txt
	$(INSTALL) --require-hashes --no-deps -r requirements/dev.txt
	$(INSTALL) $(ITSELF)
	@touch $@ .venv/.run

.venv/.layer: .venv/.dev layers/core/requirements.txt
	rm -rf .venv/layer
	$(INSTALL) --require-hashes --only-binary :all: --no-deps --target .venv/layer -r layers/core/requirements.txt
	@touch $@

.PHONY: run
run: .venv/.run ## Watch the simulator's story; with D360_API_KEY set, your own number
	@if [ -n "$$D360_API_KEY" ]; then exec $(BIN)/wabawatch run; else exec $(BIN)/wabawatch demo; fi

.PHONY: test
test: .venv/.dev ## All tests that need no AWS tools
	$(BIN)/pytest -n auto --maxprocesses=4 -m "not e2e"

.PHONY: test-layer
test-layer: .venv/.layer ## The tests of what the layer brings to Lambda: probes and deliveries on its own pins
	PYTHONPATH=.venv/layer $(BIN)/pytest -n auto --maxprocesses=4 tests/layer_pins.py tests/unit/dialog360 tests/contract/notifiers

.PHONY: prove
prove: .venv/.dev ## Every crash point and long random histories, on both stores; up to half an hour
	WABAWATCH_PROVE=1 $(BIN)/pytest -n auto --maxprocesses=4 tests/crash tests/model

.PHONY: defects
defects: .venv/.dev ## Put known defects into a copy of the code, one at a time, and check that the tests notice
	$(BIN)/python tools/defects.py

.PHONY: coverage
coverage: .venv/.dev ## The tests, with branch coverage
	$(BIN)/pytest -n auto --maxprocesses=4 -m "not e2e" --cov --cov-report=term

.PHONY: lint
lint: .venv/.dev ## Format, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy functions/poll/app.py
	$(BIN)/mypy functions/notify/app.py
	$(BIN)/lint-imports --no-cache

.PHONY: format
format: .venv/.dev ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

COMPILE = .venv-sam/bin/uv pip compile --generate-hashes --upgrade --no-annotate --custom-compile-command "make pins" --quiet

.PHONY: pins
pins: layer-pins ## Update every pin: of the command, of the tests, of the SAM CLI, of the layer
	$(COMPILE) pyproject.toml --group build --universal --python-version 3.11 -o requirements/run.txt
	$(COMPILE) pyproject.toml --group build --extra dev --universal --python-version 3.11 -o requirements/dev.txt
	$(COMPILE) requirements/sam.in --universal --python-version 3.11 -o requirements/sam.txt

.PHONY: layer-pins
layer-pins: .venv-sam/.done ## Update the layer's pins alone
	$(COMPILE) layers/core.in --python-version 3.13 --python-platform aarch64-manylinux_2_28 --only-binary :all: \
	  -o layers/core/requirements.txt

.PHONY: clean
clean: ## Remove everything that was installed or built here
	rm -rf .venv .venv-sam .venv-aws .aws-sam .wabawatch .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov

include $(wildcard aws.mk)

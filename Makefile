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

.venv/.run: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ .venv/.run

.PHONY: run
run: .venv/.run ## Watch the simulator's story; with D360_API_KEY set, your own number
	@if [ -n "$$D360_API_KEY" ]; then exec $(BIN)/wabawatch run; else exec $(BIN)/wabawatch demo; fi

.PHONY: test
test: .venv/.dev ## All tests that need no AWS tools
	$(BIN)/pytest -n auto --maxprocesses=4 -m "not e2e"

.PHONY: prove
prove: .venv/.dev ## Every crash point and long random histories, on both stores; up to half an hour
	WABAWATCH_PROVE=1 $(BIN)/pytest -n auto --maxprocesses=4 tests/crash tests/model

.PHONY: coverage
coverage: .venv/.dev ## The tests, with branch coverage
	$(BIN)/pytest -n auto --maxprocesses=4 -m "not e2e" --cov --cov-report=term

.PHONY: lint
lint: .venv/.dev ## Format, lint, types, import directions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

.PHONY: format
format: .venv/.dev ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: pins
pins: .venv/.dev ## Generate constraints.txt and the layer's requirements again
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --no-annotate -q -U -o constraints.txt

.PHONY: clean
clean: ## Remove everything that was installed or built here
	rm -rf .venv .venv-sam .venv-aws .aws-sam .wabawatch .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov

include $(wildcard aws.mk)

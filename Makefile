# Everything a person types. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SET_UP := $(VENV)/.set-up

# Tests start hundreds of processes: without cached bytecode each would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-busy chaos chaos-ci attack attack-ci fuzz lint check format agree coverage mutants bench bench-inbox bench-delivery bench-rows bench-facts bench-import bench-obvious bench-recovery lock migration clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(SET_UP) ## Make .venv from the hashed lock (every target below does this by itself)

$(SET_UP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Duly needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what requirements.lock names ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(SET_UP) ## A virtual day and a half in two minutes, judged by the witness
	@$(BIN)/duly demo

up: $(SET_UP) ## The same stack on the real clock, until Ctrl-C
	@$(BIN)/duly up

test: $(SET_UP) ## Every test, on real servers
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

test-busy: $(SET_UP) ## The same three times in a row, beside twelve busy processes: what a slow machine would see (BUSY="--times 1")
	@$(BIN)/python -m tests.busy $(BUSY)

chaos: $(SET_UP) ## Everything goes wrong at once, on three seeds, judged by the witness: about twenty minutes
	@$(BIN)/python -m tests.chaos --report .duly/chaos.json $(CHAOS)

chaos-ci: $(SET_UP) ## The same, small, and mutants that it and the witness must catch: about five minutes
	@$(BIN)/python -m pytest -m chaos tests/chaos

fuzz: $(SET_UP) ## Schemathesis asks a running stack what its description allows and forbids: three minutes (FUZZ="--seconds 30")
	@$(BIN)/python -m tests.fuzz $(FUZZ)

attack: $(SET_UP) ## Attacks on a running stack, with a signed STOP every 100 ms as witness: about five minutes
	@$(BIN)/python -m tests.attack $(ATTACK)

attack-ci: $(SET_UP) ## The same, one of each kind: about two minutes
	@$(BIN)/python -m pytest -m attack tests/attack

lint: $(SET_UP) ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

check: lint ## The same, unit tests and scenarios: before every commit
	@$(BIN)/python -m pytest --quiet --numprocesses 2 tests/unit tests/scenarios tests/architecture \
		tests/properties/test_sets_and_decisions.py tests/properties/test_cases_by_hand.py

format: $(SET_UP) ## Format the code and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

agree: $(SET_UP) ## The engine against a second, slow reading of the rules, on 20,000 random facts
	@$(BIN)/python -m tests.properties.agreement --facts $(or $(FACTS),20000) --seed $(or $(SEED),20261121)

coverage: $(SET_UP) ## Every line and branch of policies/, or exit 1
	@$(BIN)/coverage run --branch --source policies -m pytest --quiet --override-ini timeout=600 \
		tests/unit/policies tests/unit/scenarios tests/unit/front tests/properties
	@$(BIN)/coverage report --include 'policies/*' --show-missing --skip-covered --fail-under 100

mutants: $(SET_UP) ## Change the engine in three thousand ways: every change is noticed, or explained (a quarter of an hour on two idle cores; MUTANTS=--resume goes on)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "mutmut>=3.8,<4"
	@$(BIN)/python -m tests.mutation.run $(MUTANTS)

bench: $(SET_UP) ## Measure decisions a second
	@$(BIN)/python -m benchmarks

bench-delivery: $(SET_UP) ## Measure delivery against a bare loop of requests: docs/performance.md
	@$(BIN)/python -m benchmarks.delivery $(BENCH)

bench-rows: $(SET_UP) ## Begin and settle among ten million rows against one million: about 15 GB of disk
	@$(BIN)/python -m benchmarks.delivery table --sizes 1000000 10000000 $(BENCH)

bench-facts: $(SET_UP) ## Measure reading the facts of 1,000 contacts among a million: docs/tokens.md
	@$(BIN)/python -m benchmarks.facts $(BENCH)

bench-import: $(SET_UP) ## Measure importing 100,000 people from a file: docs/import.md
	@$(BIN)/python -m benchmarks.imports $(BENCH)

bench-recovery: $(SET_UP) ## Measure how long a killed worker takes to send again: docs/performance.md
	@$(BIN)/python -m benchmarks.recovery $(BENCH)

bench-inbox: $(SET_UP) ## Measure webhooks against a bare check of their signature: docs/inbox.md
	@$(BIN)/python -m benchmarks.inbox $(BENCH)

bench-obvious: $(SET_UP) ## One Celery task a message when things go wrong, judged by the witness
	@$(BIN)/python -m benchmarks.obvious.chaos $(BENCH)

migration: $(SET_UP) ## Draft a migration from the tables: make migration M="what changes"
	@$(BIN)/duly db draft "$(M)"

lock: ## Write requirements.lock anew from pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
		--python-version 3.11 --group test --group lint --group build pyproject.toml -o requirements.lock

clean: ## Remove the environment, caches and local data
	rm -rf $(VENV) .duly .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

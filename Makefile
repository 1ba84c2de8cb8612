# The two commands: `make run` and `make test`. PORT chooses the port of the first.
PYTHON := $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
export DJANGO_SETTINGS_MODULE ?= journeys_project.settings

.PHONY: run test lint types check migrations-under-load torture reference clean

run: .venv/installed
	@DEBUG=$${DEBUG:-1} exec $(BIN)/python -m journeys_project.run

test: .venv/installed-dev
	@unset DJANGO_SETTINGS_MODULE; exec $(BIN)/python -m pytest -n auto --dist loadgroup

# Ten thousand worlds, played in the engine and in its reference (docs/reliability.md). Another SEED draws others.
reference: .venv/installed-dev
	@unset DJANGO_SETTINGS_MODULE; REFERENCE_EXAMPLES=$${EXAMPLES:-10000} REFERENCE_SEED=$${SEED:-1} \
		exec $(BIN)/python -m pytest -n auto --durations 0 --durations-min 1 tests/reference

lint: .venv/installed-dev
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check .
	@if [ -d templates ]; then $(BIN)/djlint --quiet --lint templates journeys/templates; fi

types: .venv/installed-dev
	$(BIN)/mypy

check: .venv/installed-dev
	DEBUG=1 $(BIN)/python manage.py makemigrations --check --dry-run
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

# Every migration after the first, applied to a million rows while others write: nobody may wait for over two seconds.
migrations-under-load: .venv/installed-dev
	@unset DJANGO_SETTINGS_MODULE; exec $(BIN)/python -m tests.load.migrations

# Workers killed at 500 random moments of 100,000 executions, and at every named point of every kind of step.
torture: .venv/installed-dev
	@unset DJANGO_SETTINGS_MODULE; exec $(BIN)/python -m tests.torture $(ARGS)

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and there is none on the PATH." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python requirements.txt
	@echo 'Installing requirements.txt…'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@echo 'Installing requirements-dev.txt…'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv staticfiles .mypy_cache .pytest_cache .ruff_cache .hypothesis var/tests

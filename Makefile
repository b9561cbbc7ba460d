# Everything is installed into .venv by the stock pip; the stamp is renewed when the pins change.
PYTHON ?= python3
BIN := .venv/bin

PYTEST = $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(PYTEST_FLAGS)

.PHONY: help demo serve test test-deep lint check bench programs clean

help: ## show these lines
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: .venv/installed ## make the example icons: plan -> images -> checks -> atlas
	$(BIN)/atelier run jobs/plans/icons.yaml

serve: .venv/installed-serve ## previews over HTTP at http://127.0.0.1:8000; Ctrl-C stops it
	$(BIN)/atelier serve

test: programs ## the whole test suite but for the long proofs
	$(PYTEST)

test-deep: programs ## the long proofs, and the whole form of others; lists what is skipped
	$(PYTEST) --deep -m "deep or scaled" -rs --no-fold-skipped

lint: .venv/installed-dev ## format, lint, import contracts, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

check: lint ## lint, and the fast tests
	$(PYTEST) -q -m "not slow and not deep"

bench: .venv/installed ## what a bulk run costs beside generation itself
	$(BIN)/python -m jobs dev bench-bulk

programs: .venv/installed-dev ## what tests start beside Python, installed where it may be (Debian, as root)
	@$(BIN)/python -m tests.programs install

clean: ## forget everything made here: images, catalog, pages
	rm -rf .atelier

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python .ci/install.py .
	touch $@

.venv/installed-serve: .venv/installed
	$(BIN)/python .ci/install.py '.[serve]'
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python .ci/install.py '.[dev]'
	touch $@

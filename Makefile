# Everything is installed into .venv by the stock pip; the stamp is renewed when the pins change.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo serve test check bench browser clean

help: ## show these lines
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: .venv/installed ## make the example icons: plan -> images -> checks -> atlas
	$(BIN)/atelier run jobs/plans/icons.yaml

serve: .venv/installed ## previews over HTTP at http://127.0.0.1:8000; Ctrl-C stops it
	$(BIN)/python -m deployments serve

test: .venv/installed-dev ## the whole test suite, a process for each core
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

check: .venv/installed-dev ## format, lint, import contracts, types, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder -m "not slow"

bench: .venv/installed ## what a bulk run costs beside generation itself
	$(BIN)/python -m jobs bench-bulk

browser: ## the browser that the page's tests drive, where none is installed (Debian, as root)
	@for name in chromium-headless-shell chromium google-chrome; do \
		command -v $$name > /dev/null && exit 0; done; \
	apt-get update --quiet --quiet && apt-get install --yes --quiet --quiet chromium-headless-shell

clean: ## forget everything made here: images, catalog, pages
	rm -rf .atelier

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

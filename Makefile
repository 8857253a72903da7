# make setup   a virtual environment with the pinned versions
# make demo    explain a photo with the embedded network and say where the page is
# make test    every check
# make pages   rebuild the web pages
# make docs    build the documentation into site/
# make notebooks  run all notebooks again and keep their outputs

PYTHON ?= python3
BIN := .venv/bin
SHARED := $(wildcard ../shared/data)
export PELLUCID_DATA ?= $(abspath $(SHARED))

.PHONY: setup demo test pages docs notebooks format clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Pellucid needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

demo: setup
	@$(BIN)/python scripts/demo.py

test: setup
	@scripts/chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

pages:
	cd web && npm ci --no-fund --no-audit && PATH="$(abspath $(BIN)):$$PATH" npm run types && npm run check && npm run build
	$(BIN)/python scripts/refresh_pages.py

docs: setup
	$(BIN)/python scripts/docs.py

notebooks: setup
	$(BIN)/python scripts/notebooks.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv web/node_modules out demo site

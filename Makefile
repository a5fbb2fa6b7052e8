# Every target installs what it needs into .venv. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
KILLS ?= 1000
SEED ?= 1
# Each worker starts an embedded server of its own. Roles belong to a whole server, so that workers
# cannot share the one in RECSYS_DATABASE_URL.
SIDE_BY_SIDE := $(if $(RECSYS_DATABASE_URL),,-n auto --maxprocesses 4 --dist worksteal)
# pip for one package after the other says what it fetches, in one line that changes. The exit code of
# a pipe is that of its last command, so awk returns pip's.
define INSTALL
{ $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --editable '.[$(EXTRAS)]'; \
	echo "exit $$?"; } | awk ' \
	function show(text) { printf "\r%-70s", "  " substr(text, 1, 66); fflush() } \
	/^Collecting / { name = $$2; show("package " ++n ": " name) } \
	/^ *Downloading / { show("package " n ": " name " " $$3 " " $$4) } \
	/^Building / { show($$0) } \
	/^Installing collected/ { show("installing " NF - 3 " packages") } \
	/^exit / { show($$2 ? "failed" : "done"); print ""; exit $$2 }'
endef

.PHONY: help demo test slow spark torture check format docs bench clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

demo: $(VENV)/ready-to-run ## Load MovieLens, compute, publish, show recommendations [DATA=folder]
	@$(BIN)/recsys demo $(if $(DATA),--data "$(DATA)")

test: $(VENV)/ready-to-develop ## Run the tests against a real PostgreSQL
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

slow: $(VENV)/ready-to-develop ## Run the slow tests: kills, crowds, generated requests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m slow

spark: $(VENV)/ready-to-develop ## Run the tests on a Spark cluster; they need Java 17
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[spark]'
	$(BIN)/python -m pytest -m spark tests/spark

torture: $(VENV)/ready-to-develop ## Kill jobs and servers for hours [KILLS=1000 SEED=1]
	$(BIN)/python tests/torture/kill_at_random.py --kills $(KILLS) --seed $(SEED)
	$(BIN)/python tests/torture/failover.py --rounds 3 --pause 12
	$(BIN)/python tests/torture/publish_under_readers.py --seconds 60

check: $(VENV)/ready-to-develop ## Lint, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/ready-to-develop ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/ready-to-develop ## Build the documentation site in docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -d docs/_build/doctrees docs docs/_build/html
	@echo 'The site starts at docs/_build/html/index.html'

bench: $(VENV)/ready-to-develop ## Measure the bulk paths on 10 million generated ratings
	$(BIN)/python tests/benchmarks/bulk_paths.py

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 ...'; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo 'No virtual environment; on Debian: apt install python3-venv'; exit 1; }

$(VENV)/ready-to-run: EXTRAS = embedded
$(VENV)/ready-to-run: pyproject.toml $(BIN)/python
	@echo 'Installing recsys into $(VENV):'
	@$(INSTALL)
	@touch $@

$(VENV)/ready-to-develop: EXTRAS = embedded,dev
$(VENV)/ready-to-develop: pyproject.toml $(BIN)/python
	@echo 'Installing recsys and its tools into $(VENV):'
	@$(INSTALL)
	@touch $@ $(VENV)/ready-to-run

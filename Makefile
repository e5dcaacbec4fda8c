# Everything that a developer does here. `make demo` and `make test` work as the first command in a fresh clone.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
PIP    := $(BIN)/python -m pip --disable-pip-version-check
DISTRIBUTIONS := core $(wildcard plugins/*)
# What brings a hundred packages of others is in an environment of its own (make orchestrators), and here without them.
GUESTS := plugins/airflow
TESTS := tests $(wildcard core/tests plugins/*/tests)
# The demo downloads what it needs and no more: neither drivers of servers nor what only developers use.
DEMO   := core plugins/sqlite plugins/zstd plugins/sha256

# Where it is set, each of thousands of children would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE
.NOTPARALLEL: # all of it installs into one environment
.PHONY: help venv demo test test-matrix sweeps definitions schemas swaps model isolation errnos executors fleet orchestrators lint format docs bench \
	dist release-check lock clean

help:
	@echo "make demo    back up, verify and restore a real database, and watch"
	@echo "make test    run the test suite (installs what is missing)"
	@echo "make test-matrix  other Pythons, dependencies and servers (hours, and gigabytes of downloads): all of them,"
	@echo "             or ARGS=\"3.12 3.13 oldest newest 17 mariadb …\""
	@echo "make sweeps  try all cases of the sweeps of which the suite tries some (an hour)"
	@echo "make definitions  drill 5,000 random definitions of PostgreSQL, and a change of each (ten minutes)"
	@echo "make schemas round-trip 2,000 random databases of MariaDB, or of the MySQL below HOLDFAST_TEST_MYSQL_ROOT, and"
	@echo "             change 500 of them (SCHEMAS=200 for some, OBJECTS=100 for larger ones than 20)"
	@echo "make swaps   interrupt restores into PostgreSQL and MariaDB, or the MySQL below HOLDFAST_TEST_MYSQL_ROOT, at"
	@echo "             every statement in every way (an hour; ARGS=\"-k postgres\" for some)"
	@echo "make model   try 10,000 random steps of backups, damage, renames, prunes and kills on a store (STEPS=100000)"
	@echo "make isolation  let plugins do whatever no plugin should at every call of every operation (ten minutes)"
	@echo "make errnos  let each call of the file system fail in each way, 7,600 points in all commands (an hour)"
	@echo "make fleet   back up 240 databases on a Dask cluster whose workers are killed and frozen (ten minutes)"
	@echo "make executors  run the example of docs/executors.md with executorlib"
	@echo "make orchestrators  run the operators and examples in Airflow, Prefect and Dagster (ten minutes, and 700 MB)"
	@echo "make lint    ruff and mypy --strict"
	@echo "make docs    build the documentation into docs/_build/html"
	@echo "make bench   measure against the peers, in the same run"
	@echo "make dist    build wheels and sdists into dist/"
	@echo "make release-check  build, check and test what is released (RELEASING.md)"
	@echo "make lock    pin anew what development needs (ARGS=--upgrade: the newest of all)"

venv: $(addprefix $(VENV)/.ready-,test docs lint release)

# What is installed for which purpose, a stamp each. Everything after the demo's needs all the distributions.
$(VENV)/.ready-python: $(CONSTRAINTS)
	@PYTHON="$(PYTHON)" .ci/prepare python
	@# A Python without ensurepip leaves an environment without pip behind: ask for what is needed, not for the folder.
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.ready-demo: $(VENV)/.ready-python .ci/requirements/demo.txt $(addsuffix /pyproject.toml,$(DEMO))
	@echo "installing into $(VENV) …"
	@$(PIP) install -qq -c $(CONSTRAINTS) -r .ci/requirements/demo.txt
	@$(PIP) install -qq -c $(CONSTRAINTS) --no-build-isolation $(addprefix -e ./,$(DEMO))
	@touch $@

$(VENV)/.ready-all: $(VENV)/.ready-demo $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@echo "installing all distributions into $(VENV) …"
	@$(PIP) install -qq -c $(CONSTRAINTS) --no-build-isolation $(addprefix -e ./,$(filter-out $(GUESTS),$(DISTRIBUTIONS)))
	@$(PIP) install -qq --no-build-isolation --no-deps $(addprefix -e ./,$(GUESTS))
	@touch $@

$(VENV)/.ready-%: $(VENV)/.ready-all .ci/requirements/%.txt
	@echo "installing what $* needs into $(VENV) …"
	@$(PIP) install -qq -c $(CONSTRAINTS) -r .ci/requirements/$*.txt
	@touch $@

# The emulator of Azure, for the tests of stores there: the last that runs on the Node.js of Debian 12 and 13.
AZURITE := 3.35.0
$(VENV)/.ready-azurite: $(VENV)/.ready-python
	@.ci/prepare test
	@echo "installing Azurite into $(VENV) …"
	@npm install --silent --no-audit --no-fund --no-package-lock --prefix $(VENV)/azurite azurite@$(AZURITE) > /dev/null
	@touch $@

# What looks for faults of accessibility in pages, for the tests of the report in a browser.
AXE := 4.14.1
$(VENV)/.ready-axe: $(VENV)/.ready-python
	@.ci/prepare test
	@echo "installing axe-core into $(VENV) …"
	@npm install --silent --no-audit --no-fund --no-package-lock --prefix $(VENV)/axe axe-core@$(AXE) > /dev/null
	@touch $@

# The test vectors of the age format.
AGE_VECTORS := 0.2.0
$(VENV)/.ready-age-vectors: $(VENV)/.ready-python
	@.ci/prepare test
	@echo "installing the test vectors of age into $(VENV) …"
	@npm install --silent --no-audit --no-fund --no-package-lock --prefix $(VENV)/age-vectors cctv-age@$(AGE_VECTORS) > /dev/null
	@touch $@

demo: $(VENV)/.ready-demo
	@.ci/prepare demo
	@PATH="$$(realpath $(BIN)):$$PATH" docs/demo

# They wait for servers, locks and what is meant to be silent: one more than there are cores keeps those busy.
WORKERS ?= 3
test: $(VENV)/.ready-test $(VENV)/.ready-docs $(VENV)/.ready-azurite $(VENV)/.ready-axe \
		$(VENV)/.ready-age-vectors
	@.ci/prepare test
	@PATH="$$(realpath $(BIN)):$$PATH" PYTEST_DEBUG_TEMPROOT="$$($(BIN)/python tests/support/servers/place.py)" \
		$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --timeout 600 $(ARGS)

test-matrix: $(VENV)/.ready-test $(VENV)/.ready-docs
	@for script in .ci/matrix/*; do PATH="$$(realpath $(BIN)):$$PATH" "$$script" $(ARGS) || exit 1; done

sweeps: $(VENV)/.ready-test
	@.ci/prepare test
	@HOLDFAST_TEST_SWEEPS=all PATH="$$(realpath $(BIN)):$$PATH" $(BIN)/python -m pytest -q -n 2 --dist worksteal $(ARGS) \
		$$(grep -rlE --include='test_*.py' 'support.sweeps import|mark.sweep' $(TESTS))

definitions: $(VENV)/.ready-test
	@.ci/prepare test
	@HOLDFAST_DEFINITIONS=5000 PATH="$$(realpath $(BIN)):$$PATH" $(BIN)/python -m pytest -q -n 2 $(ARGS) \
		plugins/postgres/tests/test_random_definitions.py

SCHEMAS ?= 2000
OBJECTS ?= 20
schemas: $(VENV)/.ready-test
	@.ci/prepare test
	@HOLDFAST_SCHEMAS=$(SCHEMAS) HOLDFAST_SCHEMA_OBJECTS=$(OBJECTS) PATH="$$(realpath $(BIN)):$$PATH" $(BIN)/python -m pytest -q -n 2 $(ARGS) \
		plugins/mysql/tests/test_random_schemas.py

swaps: $(VENV)/.ready-test
	@.ci/prepare test
	@PATH="$$(realpath $(BIN)):$$PATH" $(BIN)/python -m pytest -q $(ARGS) \
		tests/matrix/mysql_swaps.py tests/matrix/postgres_swaps.py

STEPS ?= 10000
model: $(VENV)/.ready-test
	@HOLDFAST_MODEL_STEPS=$(STEPS) $(BIN)/python -m pytest -q $(ARGS) core/tests/test_operations_model.py

isolation: $(VENV)/.ready-test
	@.ci/prepare test
	@HOLDFAST_TEST_ISOLATION=long $(BIN)/python -m pytest -q $(ARGS) tests/test_isolation.py tests/test_isolated_commands.py

# An executor by others, in an environment of its own.
$(VENV)/executorlib/.ready: $(VENV)/.ready-python
	@echo "installing executorlib into $(VENV)/executorlib …"
	@$(PYTHON) -m venv --clear $(VENV)/executorlib
	@$(VENV)/executorlib/bin/pip --disable-pip-version-check install -qq executorlib==1.11.0 $(addprefix -e ./,$(DEMO))
	@touch $@

executors: $(VENV)/.ready-test $(VENV)/executorlib/.ready
	@HOLDFAST_TEST_EXECUTORLIB="$(CURDIR)/$(VENV)/executorlib/bin/python" $(BIN)/python -m pytest -q $(ARGS) \
		tests/matrix/executors_executorlib.py

# 240 databases on two workers, of which one is killed and one frozen.
fleet: $(VENV)/.ready-test
	@.ci/prepare test
	@HOLDFAST_TEST_FLEET=long PATH="$$(realpath $(BIN)):$$PATH" $(BIN)/python -m pytest -q -s $(ARGS) tests/test_fleets.py

errnos: $(VENV)/.ready-test
	@HOLDFAST_ERRNO_POINTS=all $(BIN)/python -m pytest -q -n 2 $(ARGS) tests/test_errno_sweep.py

# Airflow, Prefect and Dagster, each in an environment of its own with what its lock pins.
ORCHESTRATORS := airflow prefect dagster
GUEST_NEEDS := core plugins/sqlite plugins/postgres plugins/sha256 plugins/zstd
$(VENV)/orchestrators/%/.ready: .ci/orchestrators/%.txt $(VENV)/.ready-python $(addsuffix /pyproject.toml,$(GUEST_NEEDS) $(GUESTS))
	@echo "installing $* into $(VENV)/orchestrators/$* …"
	@$(PYTHON) -m venv --clear $(VENV)/orchestrators/$*
	@$(VENV)/orchestrators/$*/bin/pip --disable-pip-version-check install -qq -r $<
	@$(VENV)/orchestrators/$*/bin/pip --disable-pip-version-check install -qq -c $< \
		$(addprefix -e ./,$(GUEST_NEEDS) $(filter plugins/$*,$(GUESTS)))
	@touch $@

orchestrators: $(VENV)/.ready-test $(foreach name,$(ORCHESTRATORS),$(VENV)/orchestrators/$(name)/.ready)
	@.ci/prepare test
	@HOLDFAST_TEST_ORCHESTRATORS="$(CURDIR)/$(VENV)/orchestrators" PATH="$$(realpath $(BIN)):$$PATH" \
		$(BIN)/python -m pytest -q --timeout 900 $(ARGS) tests/orchestrators/*_*.py

lint: $(VENV)/.ready-lint $(VENV)/.ready-test $(VENV)/.ready-docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.ready-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.ready-docs $(VENV)/.ready-test
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.ready-test
	@.ci/prepare bench
	@PATH="$$(realpath $(BIN)):$$PATH" $(BIN)/python -m benchmarks $(ARGS)

dist: $(VENV)/.ready-release
	@rm -rf dist
	@for distribution in $(DISTRIBUTIONS); do \
		$(BIN)/python -m build --no-isolation --outdir dist $$distribution > /dev/null || exit 1; \
	done
	@ls dist

release-check: dist $(VENV)/.ready-test
	@$(BIN)/twine check --strict dist/*
	@HOLDFAST_TEST_DISTRIBUTIONS="$(CURDIR)/dist" $(BIN)/python -m pytest -q tests/test_wheels.py

# A universal lock: one file of pins, with markers, for each supported Python on each platform.
lock: $(VENV)/.ready-lock
	@printf -- '-e ./%s\n' $(filter-out $(GUESTS),$(DISTRIBUTIONS)) | $(BIN)/uv --no-config pip compile -q --universal --python-version 3.11.0 \
		--all-extras --no-annotate --custom-compile-command "make lock" $(ARGS) --output-file .ci/constraints.txt \
		--no-emit-package holdfast $(addprefix --no-emit-package holdfast-,$(notdir $(wildcard plugins/*))) \
		- $(addsuffix /pyproject.toml,$(DISTRIBUTIONS)) .ci/requirements/*.txt

clean:
	rm -rf $(VENV) dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything that a developer does here. `make demo` and `make test` work as the first command in a fresh clone.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
DISTRIBUTIONS := core $(wildcard plugins/*)

.PHONY: help venv demo test test-matrix lint format docs bench dist clean

help:
	@echo "make demo    back up, verify and restore a real database, and watch"
	@echo "make test    run the test suite (installs what is missing)"
	@echo "make test-matrix  the engines against other server versions (minutes, and gigabytes of downloads)"
	@echo "make lint    ruff and mypy --strict"
	@echo "make docs    build the documentation into docs/_build/html"
	@echo "make bench   measure against the peers, in the same run"
	@echo "make dist    build wheels and sdists into dist/"

venv: $(STAMP)

$(STAMP): .ci/constraints.txt .ci/dev.txt $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@PYTHON="$(PYTHON)" .ci/prepare python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) …"
	@PIP_CONSTRAINT=.ci/constraints.txt $(BIN)/python -m pip install -qq --disable-pip-version-check \
		-r .ci/dev.txt $(foreach distribution,$(DISTRIBUTIONS),-e ./$(distribution))
	@touch $@

demo: $(STAMP)
	@.ci/prepare demo
	@PATH="$(CURDIR)/$(BIN):$$PATH" docs/demo

test: $(STAMP)
	@.ci/prepare test
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-matrix: $(STAMP)
	@for script in .ci/matrix/*; do PATH="$(CURDIR)/$(BIN):$$PATH" "$$script" $(ARGS) || exit 1; done

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(STAMP)
	@.ci/prepare bench
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks $(ARGS)

dist: $(STAMP)
	@rm -rf dist
	@for distribution in $(DISTRIBUTIONS); do \
		$(BIN)/python -m build --no-isolation --outdir dist $$distribution > /dev/null || exit 1; \
	done
	@ls dist

clean:
	rm -rf $(VENV) dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

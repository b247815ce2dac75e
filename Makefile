# The everyday commands. Each installs what is missing first. `make help` lists them.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
unexport VIRTUAL_ENV PYTHONDONTWRITEBYTECODE PYTHONPATH

UV := .venv/bin/uv
UV_VERSION := 0.13.8
RUNTIMES := $(patsubst %,local/runtimes/%/.venv/.ready,sandbox ministack lambda)
PRODUCT := .venv/.product node_modules/.ready $(RUNTIMES)
CHECKERS := tests/policy/oracle/node_modules/.ready tests/templates/asl/node_modules/.ready tools/checkov/.venv/.ready
LOCKED := locked/default.txt locked/longer.txt

# Folders that `cdk synth -o DIR` wrote. They contain copies of Python sources, which are not checked. The CDK writes a
# file called cdk.out to each.
ASSEMBLIES := $(patsubst %/cdk.out,%,$(wildcard */cdk.out */*/cdk.out))

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check check-types check-style pytest run-tests format bench setup clean FORCE

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: ## deploy to the embedded AWS and write a chart to out/
	@$(MAKE) -s --no-print-directory -j 2 $(PRODUCT)
	@sandpiper demo

test: setup tools/prose/node_modules/.ready ## run everything that CI runs
	@$(MAKE) -s --no-print-directory -j 3 check-types check-style run-tests

test-fast: setup ## run the unit, template and policy tests: no sandbox, under a minute
	@pytest -q -n 2 --dist loadscope --no-loadscope-reorder tests/unit tests/templates tests/policy

check: setup tools/prose/node_modules/.ready ## check format, lint, imports, prose and types
	@$(MAKE) -s --no-print-directory -j 2 check-types check-style

# One thread for a minute. At low priority it uses the time in which tests wait.
check-types:
	@echo "· basedpyright"; nice basedpyright --level error

check-style:
	@echo "· ruff"; ruff format --check -q . $(ASSEMBLIES:%=--exclude %) && ruff check -q . $(ASSEMBLIES:%=--extend-exclude %)
	@echo "· import-linter"; lint-imports --no-cache > build/import-linter.log || { cat build/import-linter.log; exit 1; }
	@echo "· prose"; tools/prose-lint

pytest: setup ## run the tests, or some of them: ARGS="tests/unit -k name"
	@$(MAKE) -s --no-print-directory run-tests

# Four workers for two cores: a third of the time of tests is waiting, for processes and timeouts.
run-tests:
	@pytest -q -n 4 --dist loadscope --no-loadscope-reorder --durations 10 --durations-min 1 $(ARGS)

format: setup ## format the code
	@ruff format -q . $(ASSEMBLIES:%=--exclude %) && ruff check -q --fix . $(ASSEMBLIES:%=--extend-exclude %)

bench: setup ## measure speed and size, as ratios within one run: ARGS=synth for one group
	@python -m tests.benchmarks $(ARGS)

setup: ## install what is missing, from the lock files
	@$(MAKE) -s --no-print-directory -j 2 $(PRODUCT) .venv/.ready $(CHECKERS) build/browser

clean: ## stop the embedded AWS and remove what was installed and built
	-@[ ! -x .venv/bin/sandpiper ] || sandpiper local stop
	rm -rf .venv node_modules tools/prose/node_modules $(CHECKERS:/.ready=) build out cdk.out .sandpiper local/runtimes/*/.venv

# Each stamp is inside the folder whose state it records, so that deleting the folder deletes the stamp.

# Debian packages: installed by apt if that needs no password; otherwise the command to run is printed.
build/system: tools/prerequisites
	@tools/prerequisites $(PYTHON)
	@mkdir -p build && touch $@

# The browser that tests open pages in.
build/browser: tools/prerequisites | build/system
	@tools/prerequisites $(PYTHON) chromium
	@touch $@

# A virtual environment cannot be moved: this file changes with the path of the checkout and the version of uv.
build/location: FORCE
	@mkdir -p build && { echo '$(CURDIR) uv $(UV_VERSION)' | cmp -s - $@ || echo '$(CURDIR) uv $(UV_VERSION)' > $@; }
FORCE:

.venv/bin/uv: build/location | build/system
	@echo "· uv $(UV_VERSION)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# The product alone, which is all that the demo needs.
.venv/.product: .venv/bin/uv pyproject.toml uv.lock $(wildcard */pyproject.toml local/*/pyproject.toml examples/*/pyproject.toml)
	@echo "· Python packages"
	@$(UV) sync -q --frozen --no-dev --inexact --compile-bytecode --no-progress
	@touch $@

.venv/.ready: .venv/.product
	@echo "· development tools"
	@$(UV) sync -q --frozen --compile-bytecode --no-progress
	@touch $@

node_modules/.ready: .venv/.product package-lock.json
	@echo "· CDK CLI"
	@npm ci --silent --no-fund --no-audit
	@touch $@

tools/prose/node_modules/.ready: .venv/.ready tools/prose/package-lock.json
	@echo "· prose linter"
	@npm ci --silent --no-fund --no-audit --prefix tools/prose
	@touch $@

tests/policy/oracle/node_modules/.ready: .venv/.product tests/policy/oracle/package-lock.json
	@echo "· reference policy evaluator"
	@npm ci --silent --no-fund --no-audit --prefix tests/policy/oracle
	@touch $@

tools/checkov/.venv/.ready: .venv/bin/uv tools/checkov/uv.lock
	@echo "· checkov"
	@$(UV) sync -q --frozen --compile-bytecode --no-progress --project tools/checkov
	@touch $@

tests/templates/asl/node_modules/.ready: .venv/.product tests/templates/asl/package-lock.json
	@echo "· state machine validator"
	@npm ci --silent --no-fund --no-audit --prefix tests/templates/asl
	@touch $@

local/runtimes/sandbox/.venv/.ready: .venv/.product $(addprefix local/agentcore/local_agentcore/,libraries.py $(LOCKED))
	@echo "· sandbox libraries"
	@local-agentcore install-libraries --quiet $(@D)
	@touch $@

local/runtimes/%/.venv/.ready: .venv/bin/uv local/runtimes/%/uv.lock
	@echo "· $* runtime"
	@$(UV) sync -q --frozen --compile-bytecode --no-progress --project local/runtimes/$*
	@touch $@

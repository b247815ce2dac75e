# The everyday commands. `make demo` and `make test` install what is missing first; `make help` lists the rest.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
unexport VIRTUAL_ENV PYTHONDONTWRITEBYTECODE PYTHONPATH

UV := .venv/bin/uv
UV_VERSION := 0.13.8
RUNTIMES := $(addprefix local/runtimes/,sandbox ministack lambda)
LOCKED := locked/default.txt locked/longer.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check pytest format bench setup clean FORCE

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

demo: setup ## from nothing to a chart in S3 and in out/, on this machine alone
	@sandpiper demo

test: check pytest ## everything that CI runs

check: setup ## formatting, lint, types and who may import whom
	@echo "· ruff"; ruff format --check -q . && ruff check -q .
	@echo "· basedpyright"; basedpyright --level error
	@echo "· import-linter"; lint-imports --no-cache > build/import-linter.log || { cat build/import-linter.log; exit 1; }

pytest: setup ## the tests alone; ARGS="tests/unit -k name" for some of them
	@pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

format: setup ## formats the code
	@ruff format -q . && ruff check -q --fix .

bench: setup ## figures of speed and size, as ratios in one run; ARGS=synth for one of them
	@python -m tests.benchmarks $(ARGS)

setup: build/system .venv/.ready node_modules/.ready tests/policy/oracle/node_modules/.ready $(RUNTIMES:%=%/.venv/.ready) ## installs what is missing

clean: ## stops the embedded AWS; removes what was installed and built
	-@[ ! -x .venv/bin/sandpiper ] || sandpiper local stop
	rm -rf .venv node_modules tests/policy/oracle/node_modules build out cdk.out .sandpiper local/runtimes/*/.venv

# A stamp lies inside of what it vouches for, so that one is never there without the other.

# Debian packages: by apt where that needs no password, otherwise one command to type.
build/system: tools/prerequisites
	@tools/prerequisites $(PYTHON)
	@mkdir -p build && touch $@

# Virtual environments do not move: this changes when the folder did, or when uv should be another.
build/place: FORCE
	@mkdir -p build && { echo '$(CURDIR) uv $(UV_VERSION)' | cmp -s - $@ || echo '$(CURDIR) uv $(UV_VERSION)' > $@; }
FORCE:

.venv/bin/uv: build/place | build/system
	@echo "· uv $(UV_VERSION)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.ready: .venv/bin/uv pyproject.toml uv.lock $(wildcard */pyproject.toml local/*/pyproject.toml examples/*/pyproject.toml)
	@echo "· Python packages"
	@$(UV) sync -q --frozen --compile-bytecode --no-progress
	@touch $@

node_modules/.ready: .venv/.ready package-lock.json
	@echo "· CDK CLI"
	@npm ci --silent --no-fund --no-audit
	@touch $@

tools/prose/node_modules/.ready: .venv/.ready tools/prose/package-lock.json
	@echo "· prose linter"
	@npm ci --silent --no-fund --no-audit --prefix tools/prose
	@touch $@

tests/policy/oracle/node_modules/.ready: .venv/.ready tests/policy/oracle/package-lock.json
	@echo "· what the policy evaluator is compared with"
	@npm ci --silent --no-fund --no-audit --prefix tests/policy/oracle
	@touch $@

local/runtimes/sandbox/.venv/.ready: .venv/.ready $(addprefix local/agentcore/local_agentcore/,libraries.py $(LOCKED))
	@echo "· sandbox libraries"
	@local-agentcore install-libraries --quiet $(@D)
	@touch $@

local/runtimes/%/.venv/.ready: .venv/bin/uv local/runtimes/%/uv.lock
	@echo "· $* runtime"
	@$(UV) sync -q --frozen --compile-bytecode --no-progress --project local/runtimes/$*
	@touch $@

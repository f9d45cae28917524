# The few words a person types. ENV names the environment: dev (default) or prod.
ENV ?= dev
FORMAT ?= manifests
PYTHON ?= python3
PY = .venv/bin/python

.PHONY: help up preview touched down endpoints matrix export env toolchain test test-fast test-live lint bench golden

help:                    ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1	/' | expand -t 24

up: toolchain            ## bring ENV up, gated by the policies
	@$(PY) -m stacks.cli up $(ENV)

preview: toolchain       ## what `up` would change in ENV, judged by the policies
	@$(PY) -m stacks.cli preview $(ENV)

touched: toolchain       ## environments that the changes since BASE touch
	@$(PY) -m stacks.cli touched $(BASE)

down: toolchain          ## take ENV away: no object and no resource is left
	@$(PY) -m stacks.cli down $(ENV)

endpoints: toolchain     ## where ENV is reached
	@$(PY) -m stacks.cli endpoints $(ENV)

matrix: toolchain        ## which versions are supported and until when, and what ENV runs
	@$(PY) -m stacks.cli matrix $(ENV)

export: toolchain        ## write ENV as FORMAT (manifests or compose) into export/ENV
	@$(PY) -m stacks.cli export $(FORMAT) $(ENV)

env: toolchain           ## eval "$$(make -s env)" makes plain pulumi work in this shell
	@$(PYTHON) -m toolchain env

toolchain:               ## Pulumi, its plugins, the embedded cluster's programs, the virtual environment
	@$(PYTHON) -m toolchain install >&2

test: toolchain          ## every test: plans, policies, and the real engine on an embedded cluster of its own
	@$(PY) -m pytest tests -n 2 --dist loadfile --ignore=tests/live

test-fast: toolchain     ## the tests that need no engine
	@$(PY) -m pytest tests -n 2 --dist loadfile --ignore=tests/engine --ignore=tests/live

test-live: toolchain     ## real servers on Docker and on a real node: dialled, used, killed, rotated; needs Linux and root
	@$(PY) -m pytest tests/live -p no:xdist

lint: toolchain          ## ruff, mypy --strict and the import contracts
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy && .venv/bin/lint-imports

golden: toolchain        ## write the golden files anew; the diff is what a reviewer reads
	@$(PY) -m pytest tests/test_golden.py tests/urns --update-golden -q

bench: toolchain         ## preview and up against kubectl, policy overhead, growth with the number of services
	@$(PY) -m tests.bench

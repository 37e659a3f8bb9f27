# `make help` says what there is. Works with Python 3.11 or newer, make and a package index; uses uv where it is installed.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
SPREAD := -n auto --maxprocesses 4 --dist loadfile
LOCK := --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	--python-version 3.11 --extra all pyproject.toml

.PHONY: help setup peers demo test test-all lint format bench docs lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## make .venv with all that tests, lint and demo need (once; pinned and hash-checked)
	@echo "ready: $(BIN)/scarce --help"

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "scarce needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
		echo "Name another one: make setup PYTHON=python3.12"; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
ifneq ($(UV),)
	@$(UV) venv --quiet --seed --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv $(VENV) || { echo "the module venv is missing (on Debian: apt-get install python3-venv)"; exit 1; }
endif

# $(call install,FILE): the pinned packages of a requirements file, then scarce itself from this folder
ifneq ($(UV),)
define install
	@echo "installing $(1) with uv"
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $(1)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
endef
else
define install
	@echo "installing $(1) with pip (about 3 GB with PyTorch; some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
endef
endif

$(VENV)/.run: requirements/run.txt | $(VENV)/pyvenv.cfg
	@test $(VENV)/.dev -nt requirements/run.txt || { $(MAKE) --no-print-directory .install-run; }
	@touch $@

.PHONY: .install-run .install-dev
.install-run:
	$(call install,requirements/run.txt)

$(VENV)/.dev: requirements/dev.txt | $(VENV)/pyvenv.cfg
	$(call install,requirements/dev.txt)
	@touch $@ $(VENV)/.run

$(VENV)/.peers: requirements/peers.txt | $(VENV)/.dev
	$(call install,requirements/peers.txt)
	@touch $@

peers: $(VENV)/.peers ## the other libraries that slow tests compare with

demo: $(VENV)/.run ## the whole promise on real garments, under 5 minutes on 2 cores
	@$(BIN)/scarce demo

test: $(VENV)/.dev ## the fast tests; says what was skipped and why
	@$(BIN)/python -m pytest -ra $(SPREAD) -m "not slow and not browser and not full and not studio and not render and not ultralytics and not postgres"

test-all: $(VENV)/.peers ## every test: slow ones, real data sets, browser, Label Studio, Ultralytics, Blender, PostgreSQL; installs what they need where it may
	@.ci/packages
	@.ci/dvc $(BIN)/python
	@.ci/studio $(BIN)/python
	@.ci/ultralytics $(BIN)/python
	@.ci/render
	@$(BIN)/python -m pytest -ra $(SPREAD) --durations=15

lint: $(VENV)/.dev ## ruff, formatting, mypy --strict, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## put the code in form
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## the benchmarks; results go to benchmarks/results/
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

docs: $(VENV)/.dev ## write the generated parts of docs/
	@$(BIN)/python docs/build.py
	@$(BIN)/python -m scarce.cli._reference > docs/cli.md

lock: ## pin the requirement files anew from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	uv pip compile --quiet $(LOCK) -o requirements/run.txt
	uv pip compile --quiet $(LOCK) --group test --group lint -o requirements/dev.txt
	uv pip compile --quiet $(LOCK) --group test --group lint --group peers -c requirements/dev.txt -o requirements/peers.txt

clean: ## remove .venv and the caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

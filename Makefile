# A fresh machine needs nothing but python3 (3.11 or newer) and the network for the first install. Python 3.10 does for
# the package, with older versions than those pinned: python3.10 -m pip install -e '.[dev]'.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs browser check fix constraints light clean

demo: .venv/ready
	HF_HUB_OFFLINE=1 PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh out/demo

# Three processes, on two cores too: now and then one of them only waits for what it has started.
test: .venv/ready browser
	$(BIN)/python -m pytest -n 3 --dist worksteal

# Reports are tested in a real browser. Where there is none and none can be installed, those tests are skipped.
browser:
	@command -v chromedriver >/dev/null || { echo "looking for chromium and its driver: a minute or two" && test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	    && (apt-get install -y -q chromium chromium-driver || { apt-get update -q && apt-get install -y -q chromium \
	    chromium-driver; }) >/dev/null 2>&1; } || echo "no chromium here: its tests will be skipped"

# The site of docs/, below build/site: `python3 -m http.server --directory build/site` shows it.
docs: .venv/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python maintain/constraints.py

fix: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The tests that need no torch, no harness and no statistics library, on another Python: make light PYTHON=python3.13
light:
	@echo "installing into .venv-light: what the core needs, and pytest; about a minute"
	$(PYTHON) -m venv .venv-light
	.venv-light/bin/python -m pip install --quiet --progress-bar off -e . hypothesis pytest pytest-timeout
	.venv-light/bin/python -m pytest -q

# After `.venv/bin/python -m pip install --upgrade …`: the versions of .venv become those of the release.
constraints: .venv/ready
	$(BIN)/python maintain/constraints.py --write

# One pip command: lmms-eval and ms-vlmeval only resolve together (docs/install.md).
.venv/ready: pyproject.toml constraints.txt
	@echo "installing into .venv: torch, transformers, lmms-eval, VLMEvalKit and what the tests need: 8 GB on the disk."
	@echo "pip says nothing meanwhile; by the network it takes some 5 to 20 minutes, the first time"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "installed"

clean:
	rm -rf .venv .venv-light out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

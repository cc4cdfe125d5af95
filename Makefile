# A fresh machine needs nothing but python3 (3.10 or newer) and the network for the first install.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check fix clean

demo: .venv/ready
	HF_HUB_OFFLINE=1 PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh out/demo

test: .venv/ready
	$(BIN)/python -m pytest

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One pip command: lmms-eval and ms-vlmeval only resolve together (README, "Both harnesses in one environment").
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Two commands do everything on a machine with Python 3.11 or newer and make:
#   make demo    a clinic's year mapped, validated, delivered; then a page to look at it
#   make test    lint, types and the whole default suite
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test lint interop bench laws clean

help:
	@grep -E '^#  ' Makefile | cut -c3-; echo "  make interop bench laws lint clean"

demo: $(READY)
	$(BIN)/fhirsvc demo

test: lint
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Real HAPI FHIR, the HL7 validator and PostgreSQL; installs what is missing (Debian or Ubuntu).
interop: $(READY)
	bash tests/interop/setup.sh
	FHIRSVC_INTEROP_REQUIRE=1 $(BIN)/python -m pytest tests/interop -o addopts="-ra --strict-markers"

# Ratios, side by side with a peer or the limit in one run; ends with lines "name: figure".
bench: $(READY)
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.memory
	$(BIN)/python -m tests.bench.delivery
	$(BIN)/python -m tests.bench.queued
	$(BIN)/python -m tests.bench.exporting
	$(BIN)/python -m tests.bench.posting

# Ten thousand generated histories of each law of merging, drawn anew.
laws: $(READY)
	FHIRSVC_EXAMPLES=10000 $(BIN)/python -m pytest tests/merge/test_merge_laws.py

clean:
	rm -rf .venv .interop build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

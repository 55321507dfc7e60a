# make demo   install into .venv, run every stage on the bundled papers, answer a question
# make test   the whole test suite
# make check  lint, format and types
PYTHON ?= python3
BIN := .venv/bin
LOCK := cluster/requirements/cpu.lock
WHEELHOUSE ?= $(HOME)/.cache/lectern/wheelhouse
QUESTION ?= What is a virtual node in consistent hashing?

.PHONY: demo test check install clean help

help:
	@sed -n 's/^# //p' Makefile

demo: install
	@$(BIN)/lectern run --config tiny
	@$(BIN)/lectern ask --config tiny "$(QUESTION)"
	@printf '\nRead the evaluation: runs/tiny/eval/report.html\nNext, serve it:      %s\n' "$(BIN)/lectern serve --config tiny"

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy qa_core jobs serving

install: .venv/installed

.venv/installed: $(LOCK) pyproject.toml cluster/llama-wheel.sh
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Lectern needs Python 3.11 or 3.12, this is {v[0]}.{v[1]}: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a few minutes the first time)"
	@bash cluster/llama-wheel.sh $(BIN)/python $(LOCK) "$(WHEELHOUSE)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "$(WHEELHOUSE)"/llama_cpp_python-*.whl
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv runs

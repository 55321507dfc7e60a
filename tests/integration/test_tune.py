"""Sweeps on the finished run: real trials, and a best.yaml that goes back in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.candidates import Candidate
from jobs.corpora import Corpus, embed_questions
from jobs.rows.work import paper_splits
from qa_core.artifacts import RunStore
from qa_core.config_loader import load_config
from tests.integration.commands import finish, lectern

pytestmark = pytest.mark.ray


def test_a_sweep_reports_every_trial_and_its_best_goes_back_in(finished_run: tuple[Path, list[str]]) -> None:
    run, settings = finished_run
    settings = [*settings, "tune.num_samples=2", "tune.max_steps=2", "tune.eval_steps=1"]
    settings += ["tune.answer_rows=2", "tune.answer_tokens=4"]
    finish(lectern("tune", "--config", "tiny", *settings))
    trials = RunStore.open(str(run.parent), run.name).artifact("sweep").read_table().to_pylist()
    assert len(trials) == 2
    finished = [trial for trial in trials if trial["status"] == "finished"]
    assert all((trial["answer_f1"] is None) is (trial not in finished) for trial in trials)
    best = max(finished, key=lambda trial: (trial["answer_f1"], -trial["eval_loss"]))
    config = load_config(["tiny", str(run / "sweep" / "best.yaml")], settings)
    for key, value in json.loads(best["parameters"]).items():
        found = config.model_dump()
        for part in key.split("."):
            found = found[part]
        assert found == value


def test_a_joint_sweep_lays_the_rows_on_chunks_of_each_size_and_answers_through_retrieval(
    finished_run: tuple[Path, list[str]],
) -> None:
    run, settings = finished_run
    space = {
        "chunk.max_tokens": {"distribution": "choice", "values": [64, 96]},
        "retrieval.top_k": {"distribution": "choice", "values": [1, 3]},
    }
    settings = [*settings, "tune.num_samples=2", "tune.max_steps=2", "tune.eval_steps=2", "tune.searcher=random"]
    settings += ["tune.answer_rows=4", "tune.answer_tokens=4", f"tune.search_space={json.dumps(space)}"]
    output = finish(lectern("tune", "--config", "tiny", "--force", *settings))
    assert "best evidence recall" in output
    trials = RunStore.open(str(run.parent), run.name).artifact("sweep").read_table().to_pylist()
    assert {json.loads(trial["parameters"])["chunk.max_tokens"] for trial in trials} == {64, 96}
    assert all(trial["status"] == "finished" and 0 < trial["evidence_recall"] <= 1 for trial in trials), trials
    assert (run / "sweep" / "report.html").read_text().count("<polyline") == 2
    load_config(["tiny", str(run / "sweep" / "best.yaml")], settings)


def test_rows_laid_on_their_own_chunks_are_the_rows_of_the_run(
    finished_run: tuple[Path, list[str]], tmp_path: Path
) -> None:
    run, settings = finished_run
    config, store = load_config(["tiny"], settings), RunStore.open(str(run.parent), run.name)
    qa, index, questions = store.artifact("qa"), store.artifact("index"), str(tmp_path / "questions.parquet")
    embed_questions(qa, config.index.embedder, questions)
    papers = index.read_table(["doc_id"])["doc_id"].to_pylist()
    corpus = Corpus(index, index, questions, paper_splits(config, store.artifact("documents"), papers))
    laid, lost = Candidate(config, qa, corpus).conversations()
    assert lost == {}
    assert laid.to_pylist() == qa.read_table(laid.column_names).to_pylist()

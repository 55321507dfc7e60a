"""A trial of a joint sweep learns the run's rows on its own chunks and answers from its own retrieval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.candidates import NO_PASSAGE, Candidate
from jobs.corpora import QUESTION_VECTORS, Corpus
from qa_core.artifacts import Artifact, RunStore
from qa_core.config import IndexSettings
from qa_core.config_loader import load_config
from qa_core.retrieval.index import write_index
from qa_core.schemas import PASSAGES, QA
from tests.small_run import publish

TEXT = {"d1": "Ants carry ten grains. Bees dance.", "d2": "Cats sleep. Dogs bark at six cats."}
SENTENCES = [
    ("d1", "Ants carry ten grains."),
    ("d1", "Bees dance."),
    ("d2", "Cats sleep."),
    ("d2", "Dogs bark at six cats."),
]
ASKED = np.eye(4, dtype=np.float32)
"""The vector of each sentence's question."""


def chunk(doc_id: str, text: str) -> dict[str, Any]:
    start = TEXT[doc_id].index(text)
    return {
        "chunk_id": f"{doc_id}:{start}-{start + len(text)}", "doc_id": doc_id, "source": doc_id, "title": doc_id,
        "section_path": [], "start_char": start, "end_char": start + len(text), "num_tokens": len(text.split()),
        "density": 0.5, "prefix": doc_id, "text": text,
    }  # fmt: skip


def index(store: RunStore, name: str, chunks: list[dict[str, Any]], vectors: np.ndarray) -> Artifact:
    settings = IndexSettings(embedder=load_config(["tiny"]).index.embedder)
    table = pa.Table.from_pylist(chunks, PASSAGES)
    publish(store, name, lambda folder: write_index(vectors, table, settings, folder))
    return store.artifact(name)


SMALL = [chunk(*sentence) for sentence in SENTENCES]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """A run with one row a sentence, each made from a chunk of its own; the first two papers' rows are of train."""
    store = RunStore.open(str(tmp_path), "run")
    rows = [
        {
            "qa_id": f"q{number}", "doc_id": doc_id, "chunk_ids": [SMALL[number]["chunk_id"]],
            "question_type": "factual", "question": f"Question {number}?", "answer": text, "answerable": True,
            "messages": [],
            "evidence": [
                {"chunk_id": SMALL[number]["chunk_id"], "text": text, "start_char": SMALL[number]["start_char"],
                 "end_char": SMALL[number]["end_char"]}
            ],
            "context_chunk_ids": [], "split": "train" if doc_id == "d1" else "validation", "teacher": "t",
            "prompt_version": "1", "request_id": f"r{number}", "review": None,
        }
        for number, (doc_id, text) in enumerate(SENTENCES)
    ]  # fmt: skip
    publish(store, "qa", lambda folder: pq.write_table(pa.Table.from_pylist(rows, QA), folder / "qa.parquet"))
    vectors = [{"qa_id": f"q{number}", "vector": ASKED[number]} for number in range(4)]
    pq.write_table(pa.Table.from_pylist(vectors, QUESTION_VECTORS), tmp_path / "questions.parquet")
    index(store, "index", SMALL, ASKED)
    return store


def candidate(store: RunStore, other: Artifact, *overrides: str) -> Candidate:
    config = load_config(
        ["tiny"], ["generate_qa.context.shown=1.0", "generate_qa.context.without_gold=0.0", *overrides]
    )
    questions = f"{store.path}/../questions.parquet"
    corpus = Corpus(other, store.artifact("index"), questions, {"d1": "train", "d2": "validation"})
    return Candidate(config, store.artifact("qa"), corpus)


def whole_papers(store: RunStore) -> Artifact:
    vectors = np.stack([ASKED[0] + ASKED[1], ASKED[2] + ASKED[3]]) / np.sqrt(2, dtype=np.float32)
    return index(store, "whole", [chunk(doc_id, text) for doc_id, text in TEXT.items()], vectors)


def test_rows_are_shown_the_chunks_of_the_trial(store: RunStore) -> None:
    laid, lost = candidate(store, whole_papers(store), "retrieval.top_k=1").conversations()
    assert lost == {}
    prompts = {row["qa_id"]: row["messages"][1]["content"] for row in laid.to_pylist()}
    assert TEXT["d1"] in prompts["q0"]
    assert TEXT["d1"] in prompts["q1"]
    answers = {row["qa_id"]: row["messages"][2]["content"] for row in laid.to_pylist()}
    assert answers["q0"] == "Ants carry ten grains [1]."


def test_a_row_of_train_is_shown_no_other_paper_whatever_the_trial_retrieves(store: RunStore) -> None:
    laid, _ = candidate(store, store.artifact("index"), "retrieval.top_k=4").conversations()
    for row in laid.to_pylist():
        assert ("Cats" in str(row["messages"])) is (row["split"] == "validation")


def test_a_row_without_a_chunk_is_left_out_and_counted_and_its_question_is_still_asked(store: RunStore) -> None:
    others = candidate(store, index(store, "less", SMALL[:3], ASKED[:3]))
    laid, lost = others.conversations()
    assert lost == {NO_PASSAGE: 1}
    assert laid["qa_id"].to_pylist() == ["q0", "q1", "q2"]
    assert [row["qa_id"] for row in others.questions(9)] == ["q2", "q3"]


def test_answers_are_judged_by_the_rows_answer_and_recall_by_the_characters_shown(store: RunStore) -> None:
    def scores(other: Artifact, *overrides: str) -> dict[str, float]:
        one = candidate(store, other, "retrieval.density_weight=0.0", *overrides)
        rows = one.questions(2)
        prepared = [one.prepare(row, lambda text: len(text.split())) for row in rows]
        return one.scores(rows, prepared, ["Cats sleep [1].", "Nobody knows."])

    assert scores(store.artifact("index"), "retrieval.top_k=1") == {"answer_f1": 0.5, "evidence_recall": 1.0}
    assert scores(whole_papers(store), "retrieval.top_k=1") == {"answer_f1": 0.5, "evidence_recall": 1.0}
    less = index(store, "less", SMALL[:3], ASKED[:3])
    assert scores(less, "retrieval.top_k=3")["evidence_recall"] == 0.5


def test_questions_are_spread_over_the_split(store: RunStore) -> None:
    assert [row["qa_id"] for row in candidate(store, store.artifact("index")).questions(1)] == ["q2"]

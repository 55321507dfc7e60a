from __future__ import annotations

import json
from typing import Any

import pytest

from qa_core.config import EvalSettings
from qa_core.evaluation.summary import summarise

SETTINGS = EvalSettings(bootstrap_samples=200)


def test_citation_marks_do_not_count_against_an_answer(predictions: list[dict[str, Any]]) -> None:
    overall = summarise(predictions, SETTINGS, top_k=2, seed=1)["overall"]
    assert overall["rag"]["rougeL"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert overall["rag"]["exact_match"]["value"] == 1.0
    assert overall["standalone"]["term_recall"]["value"] == 0.0


def test_the_difference_is_what_retrieval_adds(predictions: list[dict[str, Any]]) -> None:
    summary = summarise(predictions, SETTINGS, top_k=2, seed=1)
    expected = summary["overall"]["rag"]["f1"]["value"] - summary["overall"]["standalone"]["f1"]["value"]
    assert summary["difference"]["f1"]["value"] == pytest.approx(expected, abs=1e-6)
    assert summary["difference"]["f1"]["low"] > 0


def test_retrieval_is_judged_by_the_gold_chunks_and_citations_by_the_evidence(
    predictions: list[dict[str, Any]],
) -> None:
    for row in predictions[6:9]:  # half of the rag rows find the gold chunk second, and still cite the first passage
        row["retrieved_chunk_ids"].reverse()
        row["gold_numbers"] = [2]
    summary = summarise(predictions, SETTINGS, top_k=2, seed=1)
    assert summary["retrieval"]["recall@1"]["value"] == 0.5
    assert summary["retrieval"]["recall@2"]["value"] == 1.0
    assert summary["retrieval"]["mrr"]["value"] == 0.75
    assert summary["citations"]["cites_any"]["value"] == 1.0
    assert summary["citations"]["cites_gold"]["value"] == 0.5


def test_an_unanswerable_question_is_judged_by_abstaining_alone(predictions: list[dict[str, Any]]) -> None:
    for number, row in enumerate(predictions):
        if number % 6 in (4, 5):
            row.update(answerable=False, prediction="The paper does not say who did." if number % 2 else "Nine.")
    before = summarise(predictions, SETTINGS, top_k=2, seed=1)
    assert (before["rows"], before["answerable"]) == (6, 4)
    assert before["overall"]["rag"]["exact_match"]["value"] == 1.0
    assert before["citations"]["cites_any"]["value"] == 1.0
    assert before["abstention"]["abstains_unanswerable"]["value"] == 0.5
    assert before["abstention"]["abstains_answerable"]["value"] == 0.0
    predictions[6]["prediction"] = "The sources do not answer this question."
    after = summarise(predictions, SETTINGS, top_k=2, seed=1)
    assert after["abstention"]["abstains_answerable"]["value"] == 0.25


def test_question_types_are_summarised_apart(predictions: list[dict[str, Any]]) -> None:
    by_type = summarise(predictions, SETTINGS, top_k=2, seed=1)["by_question_type"]
    assert {name: figures["rows"] for name, figures in by_type.items()} == {"analytical": 3, "factual": 3}


def test_one_mode_alone_is_summarised_without_a_comparison(predictions: list[dict[str, Any]]) -> None:
    settings = SETTINGS.model_copy(update={"modes": ("standalone",)})
    summary = summarise(predictions, settings, top_k=2, seed=1)
    assert "difference" not in summary
    assert "retrieval" not in summary


def test_a_figure_that_nothing_has_a_say_in_is_null_in_json(predictions: list[dict[str, Any]]) -> None:
    for row in predictions:
        row["reference"] = "nothing technical"
    summary = summarise(predictions, SETTINGS, top_k=2, seed=1)
    assert summary["overall"]["rag"]["term_recall"] == {"value": None, "low": None, "high": None}
    json.dumps(summary, allow_nan=False)


def test_modes_with_other_questions_are_refused(predictions: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="same questions"):
        summarise(predictions[:-1], SETTINGS, top_k=2, seed=1)

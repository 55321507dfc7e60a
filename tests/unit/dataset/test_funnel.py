from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from qa_core.config import GenerateQASettings
from qa_core.dataset.funnel import STEPS, YieldTooLow, require_yield, tally

Row = dict[str, Any]


def kept(count: int, question_type: str = "factual", doc_id: str = "d1") -> list[Row]:
    return [{"question_type": question_type, "doc_id": doc_id}] * count


def lost(count: int, stage: str, reason: str, question_type: str = "factual", doc_id: str = "d1") -> list[Row]:
    return [{"stage": stage, "reason": reason, "question_type": question_type, "doc_id": doc_id}] * count


def test_what_is_left_after_each_step_is_counted_overall_by_type_and_by_paper() -> None:
    funnel = tally(
        kept(3) + kept(2, "numeric", "d2"),
        lost(1, "reply", "refusal") + lost(2, "grounding", "number_not_in_evidence", "numeric")
        + lost(1, "grounding", "abstains") + lost(4, "quota", "over_quota", "numeric", "d3"),
    )  # fmt: skip
    assert funnel.overall == {
        "proposed": 13, "reply": 12, "schema": 12, "stands_alone": 12, "evidence": 12, "grounding": 9, "duplicate": 9,
        "judge": 9, "quota": 5, "review": 5,
    }  # fmt: skip
    assert {name: (left["proposed"], left["grounding"], left["review"]) for name, left in funnel.by_type.items()} == {
        "factual": (5, 3, 3), "numeric": (8, 6, 2),
    }  # fmt: skip
    assert {name: (left["proposed"], left["review"]) for name, left in funnel.by_paper.items()} == {
        "d1": (7, 3), "d2": (2, 2), "d3": (4, 0),
    }  # fmt: skip
    assert funnel.lost["grounding"] == {"abstains": 1, "number_not_in_evidence": 2}
    assert (funnel.proposed, funnel.accepted, funnel.rejected["over_quota"]) == (13, 5, 4)


def test_steps_are_told_in_their_order_and_the_funnel_goes_into_a_manifest() -> None:
    funnel = tally(kept(1), [])
    assert list(funnel.overall) == ["proposed", *STEPS]
    assert list(funnel.lost) == list(STEPS)
    assert json.loads(json.dumps(funnel.to_json())) == funnel.to_json()


def test_a_stage_that_is_no_step_is_a_defect() -> None:
    with pytest.raises(KeyError, match="cheks"):
        tally([], lost(1, "cheks", "x"))


@pytest.mark.parametrize(
    ("accepted", "rejected", "message"),
    [
        ([], [], "no question/answer row was accepted (rejected: nothing was proposed)"),
        ([], lost(2, "reply", "refusal"), "no question/answer row was accepted (rejected: refusal 2)"),
        (kept(19), lost(1, "schema", "no_pairs") + lost(5, "evidence", "evidence_not_found"),
         "only 19 question/answer rows were accepted, min_rows is 20 (rejected: evidence_not_found 5, no_pairs 1)"),
        (kept(24), lost(76, "judge", "judge_unclear"),
         "only 24 of 100 question/answer pairs passed the checks, min_yield is 0.25 (rejected: judge_unclear 76)"),
    ],
)  # fmt: skip
def test_too_low_a_yield_names_the_reasons_and_survives_a_process_border(
    accepted: list[Row], rejected: list[Row], message: str
) -> None:
    with pytest.raises(YieldTooLow) as caught:
        require_yield(tally(accepted, rejected), GenerateQASettings(min_rows=20, min_yield=0.25))
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert message in str(error)
        assert "min_rows" in error.remedy


def test_a_teacher_that_finds_nothing_to_ask_is_not_at_fault() -> None:
    settings = GenerateQASettings(min_rows=20, min_yield=1.0)
    require_yield(tally(kept(20), lost(80, "schema", "no_pairs")), settings)
    with pytest.raises(YieldTooLow, match="20 of 21 "):
        require_yield(tally(kept(20), lost(80, "schema", "no_pairs") + lost(1, "schema", "invalid_json")), settings)


def test_duplicates_the_quota_and_a_persons_decision_do_not_count_against_the_teacher() -> None:
    rejected = (
        lost(200, "duplicate", "near_duplicate") + lost(200, "quota", "over_quota") + lost(9, "review", "rejected")
    )
    require_yield(tally(kept(20), rejected), GenerateQASettings(min_rows=20, min_yield=1.0))
    with pytest.raises(YieldTooLow):
        require_yield(tally(kept(20), lost(1, "judge", "judge_unclear")), GenerateQASettings(min_yield=1.0))

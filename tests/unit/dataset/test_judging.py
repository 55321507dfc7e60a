from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_core.config import JudgeSettings
from qa_core.dataset.judging import judge_request, verdict
from qa_core.dataset.prompts import fence
from tests.unit.dataset.checks.making import source

SOURCE = source("A block holds 16 tokens.")
ROW: dict[str, Any] = {
    "question_type": "factual", "question": "How many tokens?", "answer": 'It holds "16".', "answerable": True,
}  # fmt: skip
JUDGE = JudgeSettings(min_grounded=4, min_complete=3, min_clear=2)


def marks(**changes: object) -> str:
    return json.dumps({"reason": "nothing", "grounded": 4, "complete": 3, "clear": 2, **changes})


def test_the_judge_sees_source_question_and_answer_the_source_first() -> None:
    request = judge_request(ROW, [SOURCE], teacher={"model": "m"})
    user = request.messages[-1]["content"]
    assert user.startswith(fence(1, SOURCE))
    pair = json.dumps({"question": ROW["question"], "answer": ROW["answer"]})
    assert user.index(SOURCE.text) < user.index(pair) < user.index('"grounded"')
    assert (request.question_type, request.num_questions, request.sources) == ("factual", 0, (SOURCE,))


def test_a_request_is_known_by_the_judge_and_by_what_it_reads() -> None:
    ids = {
        judge_request({**ROW, **changes}, [SOURCE], teacher={"model": model}).request_id
        for model in ("m", "n")
        for changes in ({}, {"answer": "It holds 16."}, {"answerable": False})
    }
    assert len(ids) == 6
    again = judge_request(ROW, [SOURCE], teacher={"model": "m"})
    assert again.request_id in ids


def test_an_open_question_is_judged_by_whether_it_is_open() -> None:
    asked = judge_request({**ROW, "answerable": False}, [SOURCE], teacher={}).messages[-1]["content"]
    assert "do not answer the question" in asked
    assert "do not answer the question" not in judge_request(ROW, [SOURCE], teacher={}).messages[-1]["content"]


def test_the_schema_asks_for_three_bounded_marks_and_a_short_reason() -> None:
    schema = json.loads(judge_request(ROW, [SOURCE], teacher={}).response_schema)
    assert set(schema["required"]) == {"reason", "grounded", "complete", "clear"}
    assert schema["properties"]["grounded"] == {"type": "integer", "minimum": 1, "maximum": 5}
    assert schema["properties"]["reason"]["maxLength"] == 300


def test_marks_at_the_thresholds_pass() -> None:
    assert verdict(marks(), JUDGE) is None
    assert verdict(f"```json\n{marks(grounded=5)}\n```", JUDGE) is None


@pytest.mark.parametrize(
    ("changes", "reason", "mark"),
    [
        ({"grounded": 3}, "judge_not_grounded", 3),
        ({"complete": 2}, "judge_incomplete", 2),
        ({"clear": 1}, "judge_unclear", 1),
        ({"grounded": 1, "clear": 1}, "judge_not_grounded", 1),
    ],
)
def test_a_mark_below_its_threshold_rejects_with_the_judges_words(
    changes: dict[str, object], reason: str, mark: int
) -> None:
    found = verdict(marks(reason="the number is wrong", **changes), JUDGE)
    assert found is not None
    assert (found.stage, found.reason, found.detail) == ("judge", reason, f"{mark} of 5: the number is wrong")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Looks good to me.",
        marks()[:-20],
        marks(grounded=6),
        marks(clear=0),
        marks(complete="5"),
        marks(clear=True),
        "{}",
    ],
)
def test_a_judge_that_gives_no_marks_lets_nothing_pass(text: str) -> None:
    found = verdict(text, JUDGE)
    assert found is not None
    assert (found.stage, found.reason) == ("judge", "judge_unreadable")


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.text(max_size=60) | st.dictionaries(st.text(max_size=9), st.integers() | st.text(), max_size=4).map(json.dumps)
)
def test_no_reply_of_a_judge_makes_it_raise(text: str) -> None:
    found = verdict(text, JUDGE)
    assert found is None or found.detail.encode() is not None

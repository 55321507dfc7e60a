from __future__ import annotations

import pytest

from qa_core.dataset.template.definition import definition_parts
from tests.unit.dataset.template.asking import bare


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("A hash ring is a circle on which servers and keys are placed.", "what is a hash ring"),
        ("Virtual nodes are the points that a physical server occupies.", "what are virtual nodes"),
        ("Dominant resource fairness (DRF) is a policy that evens shares.", "what is dominant resource fairness"),
        ("Rendezvous hashing, also called HRW hashing, is a scheme of scores.", "what is rendezvous hashing"),
        ("Hedging means sending a second copy of a slow request.", "what does hedging mean"),
        ("Overlap means that neighbouring chunks share some text.", "what does overlap mean"),
        ("A quorum is any set of servers that meets every other such set.", "what is a quorum"),
    ],
)  # fmt: skip
def test_a_term_that_is_explained_is_asked_for(sentence: str, question: str) -> None:
    assert bare("definition", sentence) == [question]


@pytest.mark.parametrize(
    "sentence",
    [
        "A hash ring is the usual choice for storage systems of many servers.",
        "A hash ring is a compromise of many goals.",
        "The shadow time in the code is the earliest moment of all.",
        "It is a policy that starts all tasks together.",
        "Splitting a chunk is a step that costs time.",
    ],
)
def test_a_verdict_or_an_action_is_no_definition(sentence: str) -> None:
    assert bare("definition", sentence) == []


def test_a_definition_comes_apart_into_term_verb_and_meaning() -> None:
    assert definition_parts("a hash ring is a circle that holds keys") == (
        "a hash ring",
        "is",
        "a circle that holds keys",
    )
    assert definition_parts("a hash ring holds keys") is None

from __future__ import annotations

import pytest

from qa_core.dataset.attributes import ATTRIBUTES
from qa_core.dataset.unanswered import answered_by

PAPER = [
    "Gang scheduling starts all tasks of a job together. Ousterhout introduced the related idea in 1982.",
    "Flat search compares the query with every vector. A scan of 50,000 vectors takes 7.7 ms.",
    "NCCL is a library. NCCL was released under a BSD licence and is written in C++.",
    "[2] R. Rabenseifner. Optimization of Collective Reduction Operations. ICCS, 2004.\n\n[3] S. Li. Horovod. 2018.",
]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Who first proposed gang scheduling?", "Ousterhout introduced"),
        ("When was gang scheduling introduced?", "in 1982"),
        ("In which year was gang scheduling first described?", "in 1982"),
        ("Under which licence is NCCL distributed?", "BSD licence"),
        ("Under what license was NCCL released?", "BSD licence"),
        ("In which programming language is NCCL written?", "C++"),
        ("In the context of Scheduling: Jobs, who first proposed gang scheduling?", "Ousterhout"),
        ("In which year was collective reduction first described?", "ICCS, 2004"),
    ],
)
def test_an_attribute_that_the_paper_states_is_found(question: str, words: str) -> None:
    answer = answered_by(question, PAPER)
    assert answer is not None
    assert words in answer


@pytest.mark.parametrize(
    "question",
    [
        "Who first proposed flat search?",
        "In which year was flat search first described?",
        "Under which licence is Horovod distributed?",
        "In which programming language is Horovod written?",
        "How much electrical energy does flat search use?",
        "Which company first used gang scheduling in production?",
    ],
)
def test_what_is_stated_of_another_thing_is_no_answer(question: str) -> None:
    assert answered_by(question, PAPER) is None


@pytest.mark.parametrize(
    ("question", "is_answered"),
    [
        ("How long does a scan of 50,000 vectors take?", True),
        ("Why does flat search compare the query with every vector?", True),
        ("How many milliseconds does a scan of a graph index take?", False),
        ("How many users does flat search serve per second?", False),
    ],
)
def test_any_other_question_is_answered_where_its_words_stand_with_the_kind_of_answer(
    question: str, is_answered: bool
) -> None:
    assert (answered_by(question, PAPER) is not None) == is_answered


def test_a_number_that_the_question_has_itself_is_no_answer() -> None:
    assert answered_by("How many vectors of 384 dimensions fit?", ["Many vectors of 384 dimensions fit."]) is None


def test_a_question_without_a_subject_counts_as_answered_where_anything_may_answer_it() -> None:
    assert answered_by("In which year was it first described?", PAPER) is not None


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda attribute: attribute.name)
def test_every_attribute_recognises_its_own_question_first(attribute: object) -> None:
    words = {"thing": "gang scheduling", "bare": "gang scheduling", "is": "is", "was": "was", "does": "does"}
    question = attribute.question.format(**words, uses="uses", runs="runs")  # type: ignore[attr-defined]
    assert next(entry for entry in ATTRIBUTES if entry.asked.search(question)) is attribute


def test_no_passages_answer_nothing() -> None:
    assert answered_by("Who first proposed gang scheduling?", []) is None

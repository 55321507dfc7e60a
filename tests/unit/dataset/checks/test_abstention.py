from __future__ import annotations

import pytest

from qa_core.dataset.checks.abstention import answered_in_paper, check


@pytest.mark.parametrize(
    "answer",
    [
        "The paper does not say in which year BM25 was published; it only states that it ranks.",
        "This is not stated; only the mean is given.",
        "The source doesn’t mention the batch size.",
        "No figure for the energy is reported.",
        "There is no information about the cost.",
        "It is unknown which GPU was used.",
        "Nothing is said about the price.",
        "The value cannot be determined from what is given.",
        "Das wird nicht angegeben.",
        "Ce n'est pas précisé.",
        "No se indica el coste.",
        "文中没有提及年份。",
    ],
)
def test_an_answer_that_says_what_is_missing_abstains(answer: str) -> None:
    assert check(answer, "", answerable=False) is None


@pytest.mark.parametrize(
    "answer", ["BM25 was published in 1994.", "It does not use a cache.", "It requires no training."]
)
def test_an_answer_to_an_unanswerable_question_is_refused(answer: str) -> None:
    found = check(answer, "", answerable=False)
    assert found is not None
    assert (found.stage, found.reason) == ("grounding", "does_not_abstain")


@pytest.mark.parametrize(
    "answer",
    [
        "The paper does not state the year.",
        "Not stated.",
        "The passage doesn't mention it.",
        "That is not given in the text.",
    ],
)
def test_other_answers_must_not_abstain(answer: str) -> None:
    found = check(answer, "BM25 ranks.", answerable=True)
    assert found is not None
    assert (found.stage, found.reason) == ("grounding", "abstains")


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP does not specify an order for headers.",
        "The value is not known in advance.",
        "Blocks are not contiguous in memory.",
        "The client does not know the context of the call.",
    ],
)
def test_a_fact_about_what_something_lacks_is_no_abstention(answer: str) -> None:
    assert check(answer, "", answerable=True) is None


def test_what_the_evidence_itself_leaves_open_may_be_said() -> None:
    said = "The authors did not report the variance."
    assert check(said, f"In that study, the {said[4:]}", answerable=True) is None
    assert check(said, "The variance is 2.", answerable=True) is not None


def test_a_question_that_the_paper_answers_elsewhere_is_refused_with_the_sentence() -> None:
    texts = ["BM25 ranks passages.", "BM25 was first published in 1994 by a group in London."]
    found = answered_in_paper("In which year was BM25 first published?", texts)
    assert found is not None
    assert (found.stage, found.reason) == ("grounding", "answered_in_paper")
    assert "1994" in found.detail
    assert answered_in_paper("In which year was BM25 first published?", texts[:1]) is None

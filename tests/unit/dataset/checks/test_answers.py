from __future__ import annotations

from qa_core.dataset.checks.answers import check


def test_an_answer_over_the_limit_is_too_long() -> None:
    assert check("What is BM25?", "A ranking function", 18) is None
    found = check("What is BM25?", "A ranking function", 17)
    assert found is not None
    assert (found.stage, found.reason, found.detail) == ("schema", "answer_too_long", "18 characters, 17 are allowed")


def test_an_answer_that_only_repeats_the_question_says_nothing() -> None:
    for question, answer in [("What is BM25?", "BM25."), ("Why is it slow?", "It is slow."), ("What is it?", "...")]:
        found = check(question, answer, 100)
        assert found is not None
        assert found.reason == "answer_repeats_question"


def test_an_answer_may_choose_among_the_questions_words_or_add_to_them() -> None:
    assert check("Is LoRA or full tuning cheaper?", "LoRA is cheaper.", 100) is None
    assert check("What is BM25?", "BM25 is a ranking function.", 100) is None

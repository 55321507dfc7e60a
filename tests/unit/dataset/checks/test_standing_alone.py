from __future__ import annotations

import pytest

from qa_core.dataset.checks.standing_alone import check, is_question, stands_alone


@pytest.mark.parametrize("text", ["What is BM25?", "Wie groß ist ein Block?", "什么是 BM25？", 'What is "a term?"'])
def test_what_ends_with_a_question_mark_is_a_question(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize("text", ["How many tokens does a block hold", "Why so?", "?", ""])
def test_a_statement_or_a_stump_is_not_a_question(text: str) -> None:
    found = check(text)
    assert found is not None
    assert (found.stage, found.reason) == ("stands_alone", "not_a_question")


@pytest.mark.parametrize(
    "question",
    [
        "What is a quorum?",
        "Why can probation reduce latency even though it removes capacity?",
        "Why do systems such as Raft elect a leader?",
        "What does the formula for the expected number of tokens assume?",
        "How are costs such as those of a failed node shared?",
        "What is the difference between a ring and a tree?",
        "What is the difference in latency between a ring and a tree?",
        "What is the idea behind LoRA?",
        "How many training examples does LoRA need?",
        "What does the text encoder of CLIP return?",
        "How many US hospitals took part in the DIABETES trial?",
        "How long does it take to elect a leader in Raft?",
        "Why is it necessary to replicate the Raft log?",
        "Wie groß ist ein Block?",
    ],
)
def test_a_question_that_carries_its_subject_stands_alone(question: str) -> None:
    assert check(question) is None


@pytest.mark.parametrize(
    "question",
    [
        "What does this mean for latency?",
        "Why are its predictions optimistic on busy networks?",
        "What does the paper state about elections?",
        "According to the passage, what is a term?",
        "What does passage 2 say about latency?",
        "What does Table 2 show?",
        "What does the table show?",
        "Why does a streaming system have no such moment?",
        "Why should the scheduler detect it early?",
        "What happens if they fail together?",
        "How long does it take?",
        "Why is it necessary in Raft?",
        "Why does a table take 2 KiB at that length?",
        "What is our recommendation for the timeout?",
        "What does the worked example assume?",
        "Why is the method described above faster?",
    ],
)
def test_a_question_that_needs_the_paper_at_hand_does_not_stand_alone(question: str) -> None:
    assert not stands_alone(question)
    found = check(question)
    assert found is not None
    assert (found.stage, found.reason, found.detail) == ("stands_alone", "question_not_standalone", question)

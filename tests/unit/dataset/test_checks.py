from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from qa_core.dataset.checks import (
    YieldTooLow,
    check_all,
    is_worth_asking,
    problem,
    reject_row,
    require_yield,
    stands_alone,
)  # fmt: skip
from qa_core.dataset.teachers import Evidence, Proposal

TEXT = "Intro. A block holds 16 tokens by default. End."
CHUNK = {"chunk_id": "c1", "doc_id": "d1", "start_char": 50, "end_char": 50 + len(TEXT), "text": TEXT}
SENTENCE = "A block holds 16 tokens by default."
GOOD = Proposal(
    doc_id="d1",
    chunk_ids=("c1",),
    question_type="factual",
    question="How many tokens does a block hold by default?",
    answer=SENTENCE,
    evidence=(Evidence("c1", SENTENCE, 57, 57 + len(SENTENCE)),),
)


def reason(**changes: object) -> str | None:
    return problem(replace(GOOD, **changes), CHUNK, max_answer_chars=100)


def test_a_sound_proposal_has_no_problem() -> None:
    assert reason() is None


def test_no_question_is_made_from_references_footnotes_and_filler() -> None:
    assert is_worth_asking({"kind": "prose", "density": 0.5}, 0.35)
    assert not is_worth_asking({"kind": "references", "density": 0.9}, 0.35)
    assert not is_worth_asking({"kind": "footnote", "density": 0.9}, 0.35)
    assert not is_worth_asking({"kind": "prose", "density": 0.3}, 0.35)


@pytest.mark.parametrize(
    "changes",
    [
        {"question_type": "poetic"},
        {"question": "How many tokens does a block hold"},
        {"question": "Why so?"},
        {"answer": "  "},
        {"evidence": ()},
        {"chunk_ids": ()},
    ],
)
def test_a_malformed_proposal_fails_the_schema_check(changes: dict[str, object]) -> None:
    assert reason(**changes) == "schema"


@pytest.mark.parametrize(
    "span",
    [
        Evidence("c1", SENTENCE, 58, 58 + len(SENTENCE)),  # off by one
        Evidence("c1", "A block holds 32 tokens by default.", 57, 57 + len(SENTENCE)),  # other words
        Evidence("c2", SENTENCE, 57, 57 + len(SENTENCE)),  # another chunk
        Evidence("c1", "", 57, 57),
        Evidence("c1", SENTENCE, 7, 7 + len(SENTENCE)),  # offsets of the chunk where the document's are meant
    ],
)
def test_evidence_must_be_found_where_it_says_it_is(span: Evidence) -> None:
    assert reason(evidence=(span,)) == "evidence_not_found"


def test_a_number_that_the_evidence_does_not_have_is_refused() -> None:
    assert reason(answer="A block holds 32 tokens.") == "number_not_in_evidence"


def test_a_thousands_separator_does_not_make_another_number() -> None:
    text = "A ring holds 65,537 entries in all."
    chunk = {"chunk_id": "c1", "doc_id": "d1", "start_char": 0, "end_char": len(text), "text": text}
    proposal = replace(GOOD, answer="It holds 65537 entries.", evidence=(Evidence("c1", text, 0, len(text)),))
    assert problem(proposal, chunk, 100) is None


def test_an_answer_over_the_limit_is_too_long() -> None:
    assert problem(GOOD, CHUNK, max_answer_chars=len(SENTENCE)) is None
    assert problem(GOOD, CHUNK, max_answer_chars=len(SENTENCE) - 1) == "answer_too_long"


@pytest.mark.parametrize(
    "question",
    [
        "What is a quorum?",
        "Why can probation reduce latency even though it removes capacity?",
        "Why do systems such as Raft elect a leader?",
        "What does the formula for the expected number of tokens assume?",
        "How are costs such as those of a failed node shared?",
        "What is the difference between a ring and a tree?",
    ],
)
def test_a_question_that_carries_its_subject_stands_alone(question: str) -> None:
    assert stands_alone(question)


@pytest.mark.parametrize(
    "question",
    [
        "What does this mean for latency?",
        "Why are its predictions optimistic on busy networks?",
        "What does the paper state about elections?",
        "What does Table 2 show?",
        "Why does a streaming system have no such moment?",
        "Why should the scheduler detect it early?",
        "What happens if they fail together?",
        "Why does a table take 2 KiB at that length?",
        "What is our recommendation for the timeout?",
    ],
)
def test_a_question_that_needs_the_paper_at_hand_does_not_stand_alone(question: str) -> None:
    assert not stands_alone(question)


def test_every_proposal_becomes_a_row_or_a_rejected_row() -> None:
    bad = replace(GOOD, answer="A block holds 32 tokens.")
    accepted, rejected = check_all([GOOD, bad], CHUNK, "template", 100)
    assert [row["question"] for row in accepted] == [GOOD.question]
    assert rejected == [
        {
            "chunk_id": "c1",
            "question_type": "factual",
            "reason": "number_not_in_evidence",
            "raw_response": f'{{"question": "{GOOD.question}", "answer": "A block holds 32 tokens."}}',
        }
    ]


def test_the_id_of_a_row_comes_from_its_content() -> None:
    (first,), _ = check_all([GOOD], CHUNK, "template", 100)
    (again,), _ = check_all([GOOD], CHUNK, "template", 100)
    (other,), _ = check_all([replace(GOOD, question="How many tokens fit a block?")], CHUNK, "template", 100)
    assert first["qa_id"] == again["qa_id"] != other["qa_id"]


def test_a_row_that_is_dropped_later_is_kept_like_any_rejected_one() -> None:
    (row,), _ = check_all([GOOD], CHUNK, "template", 100)
    assert reject_row(row, "duplicate_question") == {
        "chunk_id": "c1",
        "question_type": "factual",
        "reason": "duplicate_question",
        "raw_response": f'{{"question": "{GOOD.question}", "answer": "{SENTENCE}"}}',
    }


def test_too_low_a_yield_names_the_reasons_and_survives_a_process_border() -> None:
    require_yield(20, 20, {})
    with pytest.raises(YieldTooLow) as caught:
        require_yield(3, 20, {"schema": 2, "duplicate_question": 5})
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert "only 3 " in str(error)
        assert "min_rows is 20 (rejected: duplicate_question 5, schema 2)" in str(error)

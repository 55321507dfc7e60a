"""Rows on other chunks rest on the same characters of their papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from qa_core.dataset.relaying import relay
from qa_core.schemas import Passage

TEXT = (
    "A leader needs a majority. Terms only grow. Logs are compared by term.\n\nA follower waits for a while. It asks."
)
SENTENCES = [
    "A leader needs a majority.",
    "Terms only grow.",
    "Logs are compared by term.",
    "A follower waits for a while.",
]


def chunk(beginning: str, end: str, doc_id: str = "d") -> Passage:
    start, stop = TEXT.index(beginning), TEXT.index(end) + len(end)
    return Passage(
        f"{doc_id}:{start}-{stop}", doc_id, f"{doc_id}.md", "Raft", (), start, stop, 9, 0.5, "Raft", TEXT[start:stop]
    )


def span(of: Passage, text: str) -> dict[str, Any]:
    start = TEXT.index(text)
    return {"chunk_id": of.chunk_id, "text": text, "start_char": start, "end_char": start + len(text)}


def row(gold: Sequence[Passage], *evidence: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {
        "qa_id": "q", "doc_id": "d", "chunk_ids": [passage.chunk_id for passage in gold], "answerable": True,
        "question": "What does a leader need?", "answer": "A majority.", "evidence": list(evidence), **values,
    }  # fmt: skip


FIRST, SECOND = chunk(SENTENCES[0], SENTENCES[1]), chunk(SENTENCES[2], SENTENCES[3])
BEFORE = {FIRST.chunk_id: FIRST, SECOND.chunk_id: SECOND}


def laid(one: dict[str, Any], *chunks: Passage) -> tuple[dict[str, Any], list[Passage]]:
    result = relay(one, BEFORE, {"d": chunks})
    assert result is not None
    return result


def test_a_row_stays_as_it_is_on_the_chunks_that_it_was_made_from() -> None:
    one = row([FIRST, SECOND], span(FIRST, SENTENCES[1]), span(SECOND, SENTENCES[2]))
    overlapping = chunk(SENTENCES[1], SENTENCES[2])
    assert laid(one, overlapping, FIRST, SECOND) == (one, [FIRST, SECOND])


def test_gold_is_the_chunk_that_holds_the_evidence() -> None:
    small, large = chunk(SENTENCES[1], SENTENCES[1]), chunk(SENTENCES[0], SENTENCES[3])
    for other in (small, large):
        moved, gold = laid(row([FIRST], span(FIRST, SENTENCES[1])), chunk(SENTENCES[2], SENTENCES[2]), other)
        assert gold == [other]
        assert moved["chunk_ids"] == [other.chunk_id]
        assert moved["evidence"] == [{**span(FIRST, SENTENCES[1]), "chunk_id": other.chunk_id}]


def test_evidence_that_is_torn_makes_both_chunks_gold_and_loses_no_letter() -> None:
    both = f"{SENTENCES[0]} {SENTENCES[1]}"
    moved, gold = laid(
        row([FIRST], span(FIRST, both)), chunk(SENTENCES[0], SENTENCES[0]), chunk(SENTENCES[1], SENTENCES[1])
    )
    assert [passage.text for passage in gold] == SENTENCES[:2]
    assert [entry["text"] for entry in moved["evidence"]] == SENTENCES[:2]
    assert all(TEXT[entry["start_char"] : entry["end_char"]] == entry["text"] for entry in moved["evidence"])


def test_a_row_whose_evidence_is_not_wholly_in_a_chunk_is_lost() -> None:
    one = row([FIRST], span(FIRST, f"{SENTENCES[0]} {SENTENCES[1]}"))
    assert relay(one, BEFORE, {"d": [chunk(SENTENCES[0], "a majority. Terms")]}) is None
    assert relay(one, BEFORE, {}) is None


@pytest.mark.parametrize("question", ["Who wrote the proof?", "What only grows?"])
def test_an_unanswerable_row_gets_the_nearest_chunk_that_does_not_answer_it(question: str) -> None:
    one = row([FIRST], answerable=False, question=question)
    wide, narrow = chunk(SENTENCES[0], SENTENCES[2]), chunk(SENTENCES[0], SENTENCES[0])
    _, gold = laid(one, narrow, wide)
    assert gold == ([wide] if question.startswith("Who") else [narrow])

from __future__ import annotations

import pytest

from qa_core.evaluation.evidence import evidence_recall, gold_numbers
from qa_core.schemas import Passage

PAPERS = {"gold": "d"}
EVIDENCE = [{"chunk_id": "gold", "text": "A leader needs a majority.", "start_char": 20, "end_char": 46}]


def chunk(start_char: int, end_char: int, doc_id: str = "d") -> Passage:
    return Passage(
        "c", doc_id, "p.md", "Paper", (), start_char, end_char, 9, 0.5, "Paper", "x" * (end_char - start_char)
    )


WHOLE, HALF, OTHER_HALF, BEFORE, ELSEWHERE = chunk(0, 90), chunk(0, 32), chunk(32, 60), chunk(0, 20), chunk(0, 90, "e")


def test_recall_counts_the_characters_that_were_shown_whatever_the_chunks() -> None:
    assert evidence_recall(EVIDENCE, [WHOLE], PAPERS) == 1.0
    assert evidence_recall(EVIDENCE, [HALF, OTHER_HALF], PAPERS) == 1.0
    assert evidence_recall(EVIDENCE, [HALF], PAPERS) == pytest.approx(12 / 26)
    assert evidence_recall(EVIDENCE, [BEFORE, ELSEWHERE], PAPERS) == 0.0


def test_gold_are_the_passages_that_hold_some_of_the_evidence_whatever_their_chunk() -> None:
    assert gold_numbers(EVIDENCE, [BEFORE, HALF, ELSEWHERE, OTHER_HALF], PAPERS) == [2, 4]
    assert gold_numbers([], [WHOLE], PAPERS) == []

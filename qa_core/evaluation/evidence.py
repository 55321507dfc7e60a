"""Whether passages hold what a row's answer rests on, told by the characters of the paper.

For what an answer was shown chunk ids would not do: neighbouring chunks share sentences, passages are shortened, and
papers are cut anew in a sweep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qa_core.schemas import Passage

Span = Mapping[str, Any]
"""An entry of ``QA``'s ``evidence``."""


def evidence_recall(evidence: Sequence[Span], passages: Sequence[Passage], papers: Mapping[str, str]) -> float:
    """Share of the evidence's characters that stand in ``passages``.

    Args:
        papers: ``doc_id`` by the ``chunk_id`` that the evidence names.
    """
    wanted = {
        (papers[span["chunk_id"]], place) for span in evidence for place in range(span["start_char"], span["end_char"])
    }
    found = {(passage.doc_id, place) for passage in passages for place in range(passage.start_char, passage.end_char)}
    return len(wanted & found) / len(wanted)


def gold_numbers(evidence: Sequence[Span], passages: Sequence[Passage], papers: Mapping[str, str]) -> list[int]:
    """Numbers, from 1, of the passages that hold a character of the evidence or more.

    Args:
        papers: as in :func:`evidence_recall`.
    """
    return [number for number, passage in enumerate(passages, start=1) if _holds_some(passage, evidence, papers)]


def _holds_some(passage: Passage, evidence: Sequence[Span], papers: Mapping[str, str]) -> bool:
    return any(
        papers[span["chunk_id"]] == passage.doc_id
        and span["start_char"] < passage.end_char
        and passage.start_char < span["end_char"]
        for span in evidence
    )

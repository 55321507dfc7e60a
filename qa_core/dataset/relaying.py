"""Rows laid on other chunks: the same questions and answers when the papers are cut anew.

What a row rests on are characters of a paper, and these stay where they are. Its gold passages among other chunks are
those that hold the characters of its evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qa_core.dataset.unanswered import answered_by
from qa_core.schemas import Passage

Row = Mapping[str, Any]
Span = Mapping[str, Any]
"""An entry of ``QA``'s ``evidence``."""


def relay(
    row: Row, before: Mapping[str, Passage], after: Mapping[str, Sequence[Passage]]
) -> tuple[dict[str, Any], list[Passage]] | None:
    """``row`` with other ``chunk_ids`` and ``evidence``, and its gold passages; None where no chunk holds all of it.

    Evidence that is torn between two chunks makes both of them gold. A gold passage without evidence (that of an
    unanswerable row) is replaced by the chunk that shares most with it. On the chunks that it was made from a row stays
    as it is.

    Args:
        row: of ``QA``.
        before: the passages of ``row["chunk_ids"]``, by id.
        after: the chunks of each paper, by ``doc_id``.
    """
    evidence: list[dict[str, Any]] = []
    gold: dict[str, Passage] = {}
    for chunk_id in row["chunk_ids"]:
        old = before[chunk_id]
        spans = [span for span in row["evidence"] if span["chunk_id"] == chunk_id]
        chosen = _holders(spans, old, after.get(old.doc_id, ())) if spans else _instead(row, old, after)
        if chosen is None:
            return None
        gold |= {passage.chunk_id: passage for _, passage in chosen}
        evidence += [span for span, _ in chosen if span]
    return {**row, "chunk_ids": list(gold), "evidence": evidence}, list(gold.values())


def _holders(
    spans: Sequence[Span], old: Passage, chunks: Sequence[Passage]
) -> list[tuple[dict[str, Any], Passage]] | None:
    """The spans, cut where a chunk ends, each with the chunk that holds it."""
    pieces = [piece for span in spans for piece in _pieces(span, old, chunks)]
    covered = sum(_num_letters(piece["text"]) for piece, _ in pieces)
    return pieces if covered == sum(_num_letters(span["text"]) for span in spans) else None


def _pieces(span: Span, old: Passage, chunks: Sequence[Passage]) -> Iterator[tuple[dict[str, Any], Passage]]:
    place, end = span["start_char"], span["end_char"]
    while place < end:
        holding = [passage for passage in chunks if passage.start_char <= place < passage.end_char]
        if not holding:  # between two chunks; a letter that stands here is missed by the caller
            place += 1
            continue
        chosen = max(holding, key=lambda passage: (min(passage.end_char, end), _shared(passage, old)))
        stop = min(chosen.end_char, end)
        text = span["text"][place - span["start_char"] : stop - span["start_char"]]
        if text.strip():
            yield {"chunk_id": chosen.chunk_id, "text": text, "start_char": place, "end_char": stop}, chosen
        place = stop


def _instead(
    row: Row, old: Passage, after: Mapping[str, Sequence[Passage]]
) -> list[tuple[dict[str, Any], Passage]] | None:
    """The chunk that shares most with ``old``; one that answers an unanswerable question is none."""
    sharing = [passage for passage in after.get(old.doc_id, ()) if _shared(passage, old)]
    for passage in sorted(sharing, key=lambda passage: -_shared(passage, old)):
        if row["answerable"] or not answered_by(row["question"], [passage.text]):
            return [({}, passage)]
    return None


def _shared(passage: Passage, other: Passage) -> int:
    """Characters of the paper that are in both."""
    return max(0, min(passage.end_char, other.end_char) - max(passage.start_char, other.start_char))


def _num_letters(text: str) -> int:
    return sum(not character.isspace() for character in text)

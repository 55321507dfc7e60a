"""The order of passages: cosine similarity with the question, and how much each passage says in its words.

Neighbouring chunks repeat a few sentences. A prompt that shows them twice wastes its budget, and a model that copies an
answer word by word may go on in the other place; so each passage keeps only what those before it have not said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from qa_core.config import RetrievalSettings
from qa_core.schemas import Passage


def rank(passages: Sequence[Passage], settings: RetrievalSettings) -> list[Passage]:
    """Passages by ``(1 - w) x similarity + w x density``, at most ``max_per_document`` of a paper, with ``score`` set.

    Equal scores keep the order they came in. Figures of a passage are those of its whole chunk, also where its text is
    shortened (:func:`without_repeats`).
    """
    weight = settings.density_weight
    scored = [replace(p, score=(1 - weight) * p.similarity + weight * p.density) for p in passages]
    taken: Counter[str] = Counter()
    ranked: list[Passage] = []
    for passage in sorted(scored, key=lambda passage: -passage.score):
        if taken[passage.doc_id] < settings.max_per_document and (rest := without_repeats(passage, ranked)):
            taken[passage.doc_id] += 1
            ranked.append(rest)
    return ranked


def without_repeats(passage: Passage, shown: Sequence[Passage]) -> Passage | None:
    """``passage`` without its beginning and end as far as ``shown`` ones hold these characters of the paper.

    None where nothing is left. What stands repeated in its middle stays.
    """
    same_paper = sorted((other.start_char, other.end_char) for other in shown if other.doc_id == passage.doc_id)
    start, end = passage.start_char, passage.end_char
    for first, stop in same_paper:
        if first <= start < stop:
            start = stop
    for first, stop in reversed(same_paper):
        if first < end <= stop:
            end = first
    if (start, end) == (passage.start_char, passage.end_char):
        return passage
    return _cut(passage, start - passage.start_char, end - passage.start_char)


def _cut(passage: Passage, start: int, end: int) -> Passage | None:
    """The characters from ``start`` to ``end`` of the text, without white space around them; None for nothing."""
    kept = passage.text[start:end] if start < end else ""
    text = kept.strip()
    if not text:
        return None
    start_char = passage.start_char + start + len(kept) - len(kept.lstrip())
    return replace(passage, text=text, start_char=start_char, end_char=start_char + len(text))

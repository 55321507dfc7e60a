"""The order of passages: cosine similarity with the question, and how much each passage says in its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from qa_core.config import RetrievalSettings
from qa_core.schemas import Passage


def rank(passages: Sequence[Passage], settings: RetrievalSettings) -> list[Passage]:
    """Passages by ``(1 - w) x similarity + w x density``, at most ``max_per_document`` of a paper, with ``score`` set.

    Equal scores keep the order they came in.
    """
    weight = settings.density_weight
    scored = [replace(p, score=(1 - weight) * p.similarity + weight * p.density) for p in passages]
    taken: Counter[str] = Counter()
    ranked = []
    for passage in sorted(scored, key=lambda passage: -passage.score):
        if taken[passage.doc_id] < settings.max_per_document:
            taken[passage.doc_id] += 1
            ranked.append(passage)
    return ranked

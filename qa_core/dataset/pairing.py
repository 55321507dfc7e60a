"""Pairs of passages that two papers can be compared on: neighbours in the index that the service will use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qa_core.retrieval.index import PassageIndex

Chunk = Mapping[str, Any]
_PARTNERS = 5
"""Of each passage: the nearest one often speaks of the same thing without saying anything that can be compared."""
_FIRST_LOOK = 16
_AT_A_TIME = 256


def pairs_across_papers(
    index: PassageIndex, chunks: Mapping[str, Chunk], split_of: Mapping[str, str]
) -> list[tuple[Chunk, Chunk]]:
    """For each of ``chunks`` the nearest few of other papers in the same split, each pair once, nearest pair first.

    Both papers of a pair are in one split, because a row with both is in it too.

    Args:
        chunks: by id; passages of the index that are not among them are not paired.
        split_of: split of each paper's ``doc_id``.
    """
    papers = [chunks[chunk_id]["doc_id"] if chunk_id in chunks else None for chunk_id in index.chunk_ids]
    splits = [split_of[paper] if paper is not None else None for paper in papers]
    waiting = np.array([position for position, paper in enumerate(papers) if paper is not None], dtype=np.int64)
    found: dict[tuple[int, int], float] = {}
    k = _FIRST_LOOK
    while len(waiting):
        poor = []
        for start in range(0, len(waiting), _AT_A_TIME):
            some = waiting[start : start + _AT_A_TIME]
            for position, ids, similarities in zip(some, *index.neighbours(some, k), strict=True):
                fits = (ids >= 0) & [_fit(papers, splits, position, other) for other in ids]
                for other, similarity in list(zip(ids[fits], similarities[fits], strict=True))[:_PARTNERS]:
                    found[min(position, other), max(position, other)] = float(similarity)
                if fits.sum() < _PARTNERS:
                    poor.append(position)
        # Their own paper's passages stood in the way: look further, as far as there is anything to see.
        waiting, k = np.array(poor if k < len(index) else [], dtype=np.int64), 4 * k
    nearest = sorted(found, key=lambda pair: (-found[pair], pair))
    return [(chunks[index.chunk_ids[first]], chunks[index.chunk_ids[second]]) for first, second in nearest]


def _fit(papers: Sequence[str | None], splits: Sequence[str | None], position: int, other: int) -> bool:
    """Whether a passage may be the partner of another: of another paper in the same split."""
    return papers[other] is not None and papers[other] != papers[position] and splits[other] == splits[position]

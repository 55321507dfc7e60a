"""Pairs of passages that two papers can be compared on: neighbours in the index that the service will use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qa_core.retrieval.index import PassageIndex

Chunk = Mapping[str, Any]
_PARTNERS = 3
"""Of each passage: the nearest one often speaks of the same thing without saying anything that can be compared."""
_FIRST_LOOK = 16
_AT_A_TIME = 1024


def pairs_across_papers(
    index: PassageIndex, chunks: Mapping[str, Chunk], split_of: Mapping[str, str]
) -> list[tuple[Chunk, Chunk]]:
    """For each of ``chunks`` the nearest few of other papers in the same split, each pair once, nearest pair first.

    Both papers of a pair are in one split, because a row with both is in it too.

    Args:
        chunks: by id; passages of the index that are not among them are not paired.
        split_of: split of each paper's ``doc_id``.
    """
    found: dict[tuple[str, str], float] = {}
    ids = index.chunk_ids
    for start in range(0, len(ids), _AT_A_TIME):
        some = ids[start : start + _AT_A_TIME]
        for chunk_id, vector in zip(some, index.vectors(start, len(some)), strict=True):
            for partner, similarity in (
                _partners(index, chunks, split_of, chunk_id, vector) if chunk_id in chunks else ()
            ):
                first, second = sorted((chunk_id, partner))
                found[first, second] = similarity
    nearest = sorted(found, key=lambda pair: (-found[pair], pair))
    return [(chunks[first], chunks[second]) for first, second in nearest]


def _partners(
    index: PassageIndex, chunks: Mapping[str, Chunk], split_of: Mapping[str, str], chunk_id: str, vector: np.ndarray
) -> list[tuple[str, float]]:
    """The nearest chunks that fit, with their similarity; fewer, or none, when there are no more."""
    own, looked_at, k = chunks[chunk_id]["doc_id"], 0, _FIRST_LOOK
    partners: list[tuple[str, float]] = []
    while looked_at < len(index) and len(partners) < _PARTNERS:
        hits = index.search(vector, k)
        partners += [
            (passage.chunk_id, passage.similarity)
            for passage in hits[looked_at:]
            if passage.doc_id != own and split_of.get(passage.doc_id) == split_of[own] and passage.chunk_id in chunks
        ]
        if len(hits) < k:
            break
        looked_at, k = len(hits), k * 4
    return partners[:_PARTNERS]

"""Questions that ask the same: letter by letter, and by meaning."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from qa_core.terms import normalise, tokenize

Row = dict[str, Any]

_BLOCK = 512
"""Rows compared at a time: two megabytes of similarities for every thousand rows."""
_ROUNDING = 1e-4
"""More than two matrix products of different shapes differ in one similarity."""


def drop_duplicates(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The first row of every question, and the others; case, articles and punctuation do not count."""
    seen: set[str] = set()
    kept: list[Row] = []
    dropped: list[Row] = []
    for row in rows:
        question = normalised(row["question"])
        (dropped if question in seen else kept).append(row)
        seen.add(question)
    return kept, dropped


def normalised(question: str) -> str:
    """``question`` as its words, without case, punctuation and articles."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", question).casefold())
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def near_duplicates(vectors: np.ndarray, questions: Sequence[str], threshold: float) -> list[int | None]:
    """For each question the earlier one, itself kept, that it repeats in other words; None where it is kept.

    Two questions with different numbers ("at rank 8", "at rank 16") are two, however close their vectors are.

    Args:
        vectors: unit rows, float32 ``[n, d]``, of ``questions``.
        threshold: cosine similarity from which on two questions are the same one.
    """
    numbers = [_numbers(question) for question in questions]
    twins: list[int | None] = []
    kept: list[int] = []
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        # First against what earlier blocks kept, then within the block, where what is kept is only now decided.
        candidates = _pairs(block, vectors[kept], threshold)
        inside = _pairs(block, block, threshold)
        for position in range(len(block)):
            row = start + position
            earlier = [kept[place] for place in candidates[position]]
            earlier += [
                start + place for place in inside[position] if place < position and twins[start + place] is None
            ]
            twins.append(next((other for other in earlier if numbers[other] == numbers[row]), None))
        kept += [row for row in range(start, start + len(block)) if twins[row] is None]
    return twins


def twins_across(
    vectors: np.ndarray, questions: Sequence[str], splits: Sequence[str], threshold: float
) -> list[tuple[int, int]]:
    """Pairs of rows in different splits that ask the same, as :func:`near_duplicates` measures it; first row first."""
    numbers = [_numbers(question) for question in questions]
    found = []
    for start in range(0, len(vectors), _BLOCK):
        for position, others in enumerate(_pairs(vectors[start : start + _BLOCK], vectors, threshold + _ROUNDING)):
            row = start + position
            found += [
                (row, other)
                for other in others
                if other > row and splits[row] != splits[other] and numbers[row] == numbers[other]
            ]
    return found


def _pairs(rows: np.ndarray, others: np.ndarray, threshold: float) -> list[list[int]]:
    """For each row the places in ``others`` that are at least so near, in order."""
    if not len(others):
        return [[] for _ in rows]
    near = rows @ others.T >= threshold
    return [np.flatnonzero(line).tolist() for line in near]


def _numbers(question: str) -> frozenset[str]:
    """What tells one of a series of questions from the next: numbers, and names with a digit."""
    return frozenset(normalise(token) for token in tokenize(question) if any(mark.isdigit() for mark in token))

"""Which technical terms of the corpus the calibration saw; those that it missed are rounded as if they were rare."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from qa_core.terms import is_number, is_technical, normalise, tokenize

MOST_TERMS = 200


@dataclass(frozen=True)
class TermCoverage:
    """The corpus's technical vocabulary, strongest first, with how often each term stood in the calibration text."""

    counts: dict[str, int]

    @property
    def share(self) -> float:
        """Of the terms that were seen at all."""
        return sum(map(bool, self.counts.values())) / max(1, len(self.counts))

    def as_json(self) -> dict[str, Any]:
        return {
            "terms": len(self.counts),
            "share_seen": round(self.share, 4),
            "missed": [term for term, count in self.counts.items() if not count],
            "seen": {term: count for term, count in self.counts.items() if count},
        }


def term_coverage(chunks: pa.Table, calibration_texts: Sequence[str], most: int = MOST_TERMS) -> TermCoverage:
    """Look for the ``most`` technical terms of highest tf-idf of the corpus in ``calibration_texts``.

    A paper is a document, and a term's weight is its highest in any paper. Numbers are no vocabulary.
    """
    seen = Counter(term for text in calibration_texts for term in _terms(text))
    return TermCoverage({term: seen[term] for term in technical_vocabulary(chunks, most)})


def technical_vocabulary(chunks: pa.Table, most: int) -> list[str]:
    """The technical terms of highest tf-idf, strongest first; equally strong ones in alphabetical order."""
    papers: dict[str, Counter[str]] = {}
    for doc_id, text in zip(chunks["doc_id"].to_pylist(), chunks["text"].to_pylist(), strict=True):
        papers.setdefault(doc_id, Counter()).update(_terms(text))
    spread = Counter(term for counts in papers.values() for term in counts)
    weights: dict[str, float] = {}
    for counts in papers.values():
        total = sum(counts.values())
        for term, count in counts.items():
            weight = count / total * math.log((1 + len(papers)) / spread[term])
            weights[term] = max(weight, weights.get(term, 0.0))
    return sorted(weights, key=lambda term: (-weights[term], term))[:most]


def _terms(text: str) -> Iterable[str]:
    return (normalise(token) for token in tokenize(text) if is_technical(token) and not is_number(token))

"""Papers that say the same, and blocks that stand in many papers.

Exact copies are found by a hash over their words. Near-duplicates (two versions of a paper, two conversions of one) by
MinHash signatures over phrases of three words (A. Broder, "On the resemblance and containment of documents", 1997),
with locality-sensitive hashing so that not every pair has to be compared.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from rensa import RMinHash

from qa_core.config import ChunkSettings
from qa_core.corpus.markdown_lines import BlockKind

DUPLICATE_REASONS = ("duplicate_document", "near_duplicate")
NUM_HASHES = 255
"""Values in a signature: the similarity is estimated with a standard error of at most 0.032."""
_SEED = 17
_PHRASE_WORDS = 3
_BANDS = 51
"""Of 5 values each: two papers of similarity 0.65 share at least one with a probability of 0.998, of 0.3 with 0.12."""
_MIN_PAPER_WORDS = 50
"""Shorter papers are near-duplicates only by chance."""
_BOILERPLATE_KINDS = ("paragraph", "list")
"""Several papers may cite one work, show one table or set one formula; that is no boilerplate."""
_BOILERPLATE_WORDS = range(8, 400)
"""Shorter blocks repeat by chance ("Let $x$ be as above:"), longer ones are content that was copied."""
_WORD = re.compile(r"\w+")


class PaperFingerprint:
    """Collects what is needed to compare a paper with all others, a block at a time."""

    def __init__(self) -> None:
        self._content = hashlib.sha256()
        self._minhash = RMinHash(num_perm=NUM_HASHES, seed=_SEED)
        self.num_words = 0
        self.block_hashes = array("Q")

    def add(self, block: str, kind: BlockKind) -> int:
        """Take in a block of the paper; returns its hash, or 0 for one that cannot be boilerplate."""
        normal = unicodedata.normalize("NFC", block)
        self._content.update(" ".join(normal.split()).encode() + b"\n")
        words = _WORD.findall(normal.lower())
        self.num_words += len(words)
        if words:
            last = max(1, len(words) - _PHRASE_WORDS + 1)
            self._minhash.update([" ".join(words[i : i + _PHRASE_WORDS]) for i in range(last)])
        if kind not in _BOILERPLATE_KINDS or len(words) not in _BOILERPLATE_WORDS:
            return 0
        digest = int.from_bytes(hashlib.blake2b(" ".join(words).encode(), digest_size=8).digest(), "big") or 1
        self.block_hashes.append(digest)
        return digest

    @property
    def content_hash(self) -> str:
        """SHA-256 of the blocks in Unicode NFC with every run of white space as one space."""
        return self._content.hexdigest()

    @property
    def signature(self) -> list[int]:
        """``NUM_HASHES`` values of 32 bits."""
        return list(self._minhash.digest())


@dataclass(frozen=True)
class Fingerprint:
    """A finished :class:`PaperFingerprint`."""

    source: str
    content_hash: str
    num_words: int
    signature: np.ndarray
    block_hashes: np.ndarray


@dataclass(frozen=True)
class Verdict:
    """What comparing all papers came to."""

    duplicates: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Source of each paper that is left out -> reason and detail."""
    boilerplate: frozenset[int] = frozenset()
    """Hashes of the blocks that are left out of every paper."""


def judge(papers: Sequence[Fingerprint], settings: ChunkSettings) -> Verdict:
    """Compare all papers; the order in which they come changes nothing."""
    duplicates = _find_duplicates(papers, settings.near_duplicate_similarity)
    kept = [paper for paper in papers if paper.source not in duplicates]
    return Verdict(duplicates, _find_boilerplate(kept, settings.boilerplate_papers))


def _find_duplicates(papers: Sequence[Fingerprint], similarity: float) -> dict[str, tuple[str, str]]:
    """Every paper that is like a longer one, or equally long and earlier by name, that is itself kept."""
    exact: dict[str, str] = {}
    bands: defaultdict[bytes, list[int]] = defaultdict(list)
    kept: list[str] = []
    signatures = np.zeros((len(papers), NUM_HASHES), dtype=np.uint32)
    found: dict[str, tuple[str, str]] = {}
    # A paper without a word, not even in a heading, is like no other.
    worded = (paper for paper in papers if paper.num_words)
    for paper in sorted(worded, key=lambda paper: (-paper.num_words, paper.source)):
        if original := exact.get(paper.content_hash):
            found[paper.source] = "duplicate_document", f"same text as {original}"
            continue
        keys = list(_band_keys(paper)) if paper.num_words >= _MIN_PAPER_WORDS else []
        candidates = sorted({number for key in keys for number in bands[key]})
        alike = np.mean(signatures[candidates] == paper.signature, axis=1) if candidates else np.zeros(1)
        if float(alike.max()) >= similarity:
            original = min(kept[candidates[place]] for place in np.flatnonzero(alike == alike.max()))
            found[paper.source] = "near_duplicate", f"{alike.max():.0%} of the phrases are those of {original}"
            continue
        exact[paper.content_hash] = paper.source
        signatures[len(kept)] = paper.signature
        for key in keys:
            bands[key].append(len(kept))
        kept.append(paper.source)
    return found


def _band_keys(paper: Fingerprint) -> Iterator[bytes]:
    for number, band in enumerate(np.split(paper.signature.astype(np.uint32), _BANDS)):
        yield number.to_bytes(2, "big") + band.tobytes()


def _find_boilerplate(papers: Sequence[Fingerprint], at_least: int) -> frozenset[int]:
    """Hashes of the blocks that ``at_least`` papers share; none when it is 0."""
    if not at_least or not papers:
        return frozenset()
    hashes = np.concatenate([np.unique(paper.block_hashes).astype(np.uint64) for paper in papers])
    values, counts = np.unique(hashes, return_counts=True)
    return frozenset(int(value) for value in values[counts >= at_least])

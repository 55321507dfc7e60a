"""Train, validation and test split by paper, so that the test measures papers that training has not seen.

Papers that share many of their phrases, such as two versions of one, are one family and stay together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from qa_core.config import SplitFractions
from qa_core.corpus.dedup import NUM_HASHES
from qa_core.dataset.quotas import draw
from qa_core.errors import UserError

Signature = Sequence[int] | np.ndarray
"""As in ``DOCUMENTS``, ``NUM_HASHES`` values: two agree in as large a share as the papers do in their phrases."""

_NAMES = ("train", "validation", "test")
_MANY_PAPERS = 10
"""From so many papers on no split hangs on a single one."""
_BLOCK = 128
"""Papers compared with all before them at a time: a megabyte for every 8,000 papers."""


def split_documents(signatures: Mapping[str, Signature | None], fractions: SplitFractions, seed: int) -> dict[str, str]:
    """The split of each paper, by ``doc_id``. Depends on the papers and on the seed, not on their order.

    A family is counted with all its papers. One that is larger than what validation or test is to have goes to train,
    unless nothing else is left for them. Every split gets a paper, and two from ten papers on as far as the families
    allow; fewer than three families are a :class:`UserError`.
    """
    families = sorted(_families(signatures, fractions.together_similarity), key=lambda family: draw(seed, family[0]))
    if len(families) < len(_NAMES):
        raise _too_few(len(signatures), len(families))
    sizes = _sizes(len(signatures), fractions)
    members: dict[str, list[list[str]]] = {name: [] for name in _NAMES}
    for family in families:
        roomy = (name for name in ("test", "validation") if _count(members[name]) + len(family) <= sizes[name])
        members[next(roomy, "train")].append(family)
    _fill_empty(members)
    return {paper: name for name, of_split in members.items() for family in of_split for paper in family}


def _sizes(papers: int, fractions: SplitFractions) -> dict[str, int]:
    """Papers that validation and test are to have: the nearest whole numbers, but at least one or two each."""
    least = 2 if papers >= _MANY_PAPERS else 1
    return {
        "validation": max(least, round(fractions.validation * papers)),
        "test": max(least, round(fractions.test * papers)),
    }


def _fill_empty(members: dict[str, list[list[str]]]) -> None:
    """Give a split without a paper the smallest family of the split that has the most families."""
    while empty := [name for name in _NAMES if not members[name]]:
        giver = max(_NAMES, key=lambda name: len(members[name]))
        smallest = min(members[giver], key=len)
        members[giver].remove(smallest)
        members[empty[0]].append(smallest)


def _families(signatures: Mapping[str, Signature | None], similarity: float) -> Iterator[list[str]]:
    """Papers that are alike, directly or through others, by name; a paper without a signature is alone."""
    papers = sorted(signatures)
    compared = [paper for paper in papers if signatures[paper] is not None]
    parent = {paper: paper for paper in papers}
    for first, second in _alike([np.asarray(signatures[paper]) for paper in compared], similarity):
        parent[_root(parent, compared[second])] = _root(parent, compared[first])
    families: defaultdict[str, list[str]] = defaultdict(list)
    for paper in papers:
        families[_root(parent, paper)].append(paper)
    yield from families.values()


def _root(parent: dict[str, str], paper: str) -> str:
    while parent[paper] != paper:
        parent[paper] = paper = parent[parent[paper]]
    return paper


def _alike(signatures: Sequence[np.ndarray], similarity: float) -> Iterator[tuple[int, int]]:
    """Pairs whose signatures agree in at least this share of their values, the earlier one first. Exact."""
    if not signatures:
        return
    matrix = np.stack(signatures).astype(np.uint32)
    needed = similarity * NUM_HASHES
    # The lowest byte of each value finds every such pair and few others, four times as fast: 5 s for 10,000 papers.
    columns = np.ascontiguousarray((matrix & 0xFF).astype(np.uint8).T)
    for start in range(0, len(matrix), _BLOCK):
        stop = min(start + _BLOCK, len(matrix))
        agreeing = np.zeros((stop - start, stop), dtype=np.uint8)  # 255 values at most
        for column in columns:
            agreeing += column[start:stop, None] == column[None, :stop]
        for place, other in np.argwhere(agreeing >= needed):
            row = start + int(place)
            if other < row and np.count_nonzero(matrix[row] == matrix[other]) >= needed:
                yield int(other), row


def _count(families: Iterable[list[str]]) -> int:
    return sum(map(len, families))


def _too_few(papers: int, families: int) -> UserError:
    alike = f" of {families} unlike ones" if families < papers else ""
    return UserError(
        f"{papers} papers{alike} have chunks, and {', '.join(_NAMES)} need one paper each",
        "Add papers to chunk.papers: three that do not repeat each other are the least; generate_qa.splits"
        ".together_similarity says what counts as a repetition.",
    )

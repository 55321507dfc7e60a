"""Train, validation and test split by paper: no paper is in two of them, so the test measures unseen papers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from qa_core.config import SplitFractions
from qa_core.errors import UserError


def split_documents(doc_ids: Iterable[str], fractions: SplitFractions, seed: int) -> dict[str, str]:
    """The split of each document. Depends on the set of ids and on the seed, not on their order.

    Every split gets at least one document; with too few documents for that it is a :class:`UserError`.
    """
    documents = sorted(set(doc_ids), key=lambda doc_id: hashlib.sha256(f"{seed}\0{doc_id}".encode()).hexdigest())
    wanted: dict[str, float] = fractions.model_dump()
    if len(documents) < len(wanted):
        raise UserError(
            f"{len(documents)} papers gave question/answer rows, and {', '.join(wanted)} need one paper each",
            "Add papers to chunk.papers: three is the least.",
        )
    names = [name for name, size in _sizes(len(documents), wanted).items() for _ in range(size)]
    return dict(zip(documents, names, strict=True))


def _sizes(documents: int, wanted: dict[str, float]) -> dict[str, int]:
    """Documents per split: the nearest whole numbers, at least one each, that add up."""
    sizes = {name: max(1, round(share * documents)) for name, share in wanted.items()}
    while (surplus := sum(sizes.values()) - documents) != 0:
        # The largest split bears the rounding, where one paper weighs least.
        sizes[max(sizes, key=lambda name: sizes[name])] -= 1 if surplus > 0 else -1
    return sizes

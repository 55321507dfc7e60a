"""The passages that stand beside the right one in a row's conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qa_core.config import RetrievalSettings
from qa_core.dataset.unanswered import answered_by
from qa_core.retrieval.ranking import rank
from qa_core.schemas import Passage

if TYPE_CHECKING:  # it loads faiss
    from qa_core.retrieval.index import PassageIndex


@dataclass(frozen=True)
class DistractorMiner:
    """Passages that the service's retrieval takes for close to a question and that do not answer it."""

    index: PassageIndex
    splits: Mapping[str, str]
    """Of every paper, by ``doc_id``."""
    settings: RetrievalSettings

    def mine(self, row: Mapping[str, Any], question: np.ndarray) -> list[Passage]:
        """More than ``top_k``, best first, as some may repeat the evidence; papers of train only for a row of train.

        Args:
            row: of ``QA``.
            question: unit vector float32 ``[dimension]``.
        """
        gold = set(row["chunk_ids"])
        own_split = self.splits[row["doc_id"]]

        def fits(passage: Passage) -> bool:
            if passage.chunk_id in gold or (not row["answerable"] and answered_by(row["question"], [passage.text])):
                return False
            return own_split != "train" or self.splits.get(passage.doc_id) == "train"

        wanted = self.settings.top_k
        k = 4 * max(self.settings.candidates, wanted + len(gold))
        found = rank([passage for passage in self.index.search(question, k) if fits(passage)], self.settings)
        return found[: 2 * wanted]

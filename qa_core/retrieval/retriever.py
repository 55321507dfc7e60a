"""A question to the passages that may answer it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qa_core.config import RetrievalSettings, SentenceTransformersEmbedder
from qa_core.errors import UserError
from qa_core.retrieval.embedding import Embedder
from qa_core.retrieval.index import PassageIndex
from qa_core.retrieval.ranking import rank
from qa_core.schemas import Passage


class Retriever:
    """Embeds a question, fetches candidates from the index and ranks them."""

    def __init__(
        self, index_folder: Path, embedder_settings: SentenceTransformersEmbedder, settings: RetrievalSettings
    ) -> None:
        self._index = PassageIndex.open(index_folder)
        if self._index.embedder != embedder_settings:
            raise UserError(
                f"The index was built with index.embedder {self._index.embedder}, the config says {embedder_settings}.",
                "Build the index again with `lectern index --force`, or put the setting back.",
            )
        self._embedder = Embedder(embedder_settings)
        self._settings = settings

    def retrieve(self, question: str, k: int | None = None) -> list[Passage]:
        """At most ``k`` (``top_k`` when empty) passages, best first, with ``similarity`` and ``score``."""
        return nearest(self._index, self._embedder.embed_query(question), self._settings, k)


def nearest(
    index: PassageIndex, question: np.ndarray, settings: RetrievalSettings, k: int | None = None
) -> list[Passage]:
    """At most ``k`` (``top_k`` when empty) passages for the question vector ``[dimension]``, best first."""
    k = settings.top_k if k is None else k
    candidates = index.search(question, max(k, settings.candidates))
    return rank(candidates, settings)[:k]

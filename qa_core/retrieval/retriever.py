"""A question to the passages that may answer it."""

from __future__ import annotations

from collections.abc import Sequence
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
        self._index = open_index(index_folder, embedder_settings)
        self._embedder = Embedder(embedder_settings)
        self._embedder_settings = embedder_settings
        self._settings = settings

    def switch_to(self, index_folder: Path) -> None:
        """Answer from another index from the next question on; one that cannot be opened changes nothing."""
        self._index = open_index(index_folder, self._embedder_settings)

    def retrieve(self, question: str, k: int | None = None, documents: Sequence[str] | None = None) -> list[Passage]:
        """At most ``k`` (``top_k`` when empty) passages, best first, with ``similarity`` and ``score``.

        Args:
            documents: sources of the papers to look in; all of them when empty.
        """
        return nearest(self._index, self._embedder.embed_query(question), self._settings, k, documents)

    @property
    def papers(self) -> dict[str, str]:
        """Titles by source, in the order of the titles."""
        return self._index.papers

    def paper(self, source: str) -> list[Passage]:
        """The passages of one paper in reading order; none for a paper that is not in the index."""
        return sorted(self._index.passages_of([source]), key=lambda passage: passage.start_char)

    def embed(self, text: str) -> tuple[np.ndarray, int]:
        """Unit vector float32 ``[dimension]`` of a passage, and how many tokens the model read."""
        return self._embedder.embed_passages([text])[0], self._embedder.count_tokens(text)


def open_index(index_folder: Path, embedder_settings: SentenceTransformersEmbedder) -> PassageIndex:
    """The index in a folder; :class:`UserError` when another embedder made its vectors."""
    index = PassageIndex.open(index_folder)
    if index.embedder != embedder_settings:
        raise UserError(
            f"The index was built with index.embedder {index.embedder}, the config says {embedder_settings}.",
            "Build the index again with `lectern index --force`, or put the setting back.",
        )
    return index


def nearest(
    index: PassageIndex,
    question: np.ndarray,
    settings: RetrievalSettings,
    k: int | None = None,
    documents: Sequence[str] | None = None,
) -> list[Passage]:
    """At most ``k`` (``top_k`` when empty) passages for the question vector ``[dimension]``, best first.

    ``max_per_document`` does not hold for ``documents`` that the caller has chosen.
    """
    k = settings.top_k if k is None else k
    candidates = index.search(question, max(k, settings.candidates), documents)
    if documents is not None:
        settings = settings.model_copy(update={"max_per_document": k})
    return rank([found for found in candidates if found.similarity >= settings.min_similarity], settings)[:k]

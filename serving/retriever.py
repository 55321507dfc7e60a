"""The deployment that turns a question into passages, and texts into vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from qa_core.artifacts import Artifact
from qa_core.config import RetrievalSettings, SentenceTransformersEmbedder
from qa_core.schemas import Passage

Result = TypeVar("Result")


class Retriever:
    """One replica: an open index and an embedder."""

    def __init__(self, index: Artifact, embedder: SentenceTransformersEmbedder, settings: RetrievalSettings) -> None:
        from qa_core.retrieval.retriever import Retriever as IndexRetriever

        self._retriever = IndexRetriever(index.local(), embedder, settings)
        # Off the event loop, so that health checks are answered meanwhile; one thread, because a Hugging Face tokenizer
        # refuses ("Already borrowed") to be used by two at once.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="retriever")

    async def retrieve(
        self, question: str, k: int | None = None, documents: Sequence[str] | None = None
    ) -> list[Passage]:
        """Passages for ``question``, best first. The generator, which has the tokenizer, cuts them to the budget."""
        return await self._apart(lambda: self._retriever.retrieve(question, k, documents))

    async def papers(self) -> dict[str, str]:
        """Titles of the papers in the index by their sources, in the order of the titles."""
        return self._retriever.papers

    async def paper(self, source: str) -> list[Passage]:
        """The passages of one paper in reading order; none for a paper that is not in the index."""
        return await self._apart(lambda: self._retriever.paper(source))

    async def embed(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        """Unit vectors float32 ``[n, dimension]`` of passages, and how many tokens they have together."""
        return await self._apart(lambda: self._retriever.embed(texts))

    async def _apart(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

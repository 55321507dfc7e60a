"""The deployment that turns a question into passages."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from qa_core.artifacts import Artifact
from qa_core.config import RetrievalSettings, SentenceTransformersEmbedder
from qa_core.schemas import Passage


class Retriever:
    """One replica: an open index and an embedder."""

    def __init__(self, index: Artifact, embedder: SentenceTransformersEmbedder, settings: RetrievalSettings) -> None:
        from qa_core.retrieval.retriever import Retriever as IndexRetriever

        self._retriever = IndexRetriever(index.local(), embedder, settings)
        # Off the event loop, so that health checks are answered meanwhile; one thread, because a Hugging Face tokenizer
        # refuses ("Already borrowed") to be used by two at once.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="retriever")

    async def retrieve(self, question: str, k: int | None = None) -> list[Passage]:
        """Passages for ``question``, best first. The generator, which has the tokenizer, cuts them to the budget."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._retriever.retrieve, question, k)

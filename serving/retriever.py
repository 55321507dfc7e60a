"""The deployment that turns a question into passages, and texts into vectors."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np

from qa_core.artifacts import Artifact
from qa_core.config import RetrievalSettings, SentenceTransformersEmbedder
from qa_core.errors import UserError
from qa_core.schemas import Passage

Result = TypeVar("Result")

logger = logging.getLogger("ray.serve")

SECONDS_BETWEEN_LOOKS = 5.0
"""At the manifest of the index, whether a stage has published another one."""


class Retriever:
    """One replica: an open index and an embedder. An index that is built anew is picked up without a restart."""

    def __init__(self, index: Artifact, embedder: SentenceTransformersEmbedder, settings: RetrievalSettings) -> None:
        from qa_core.retrieval.retriever import Retriever as IndexRetriever

        self._artifact = index
        self._content = _content_hash(index)
        self._retriever = IndexRetriever(index.local(), embedder, settings)
        # Off the event loop, so that health checks are answered meanwhile; one thread, because a Hugging Face tokenizer
        # refuses ("Already borrowed") to be used by two at once.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="retriever")
        threading.Thread(target=self._watch, name="index-watch", daemon=True).start()

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
        # One by one, so that the questions of others come between.
        found = [await self._apart(partial(self._retriever.embed, text)) for text in texts]
        return np.stack([vector for vector, _ in found]), sum(tokens for _, tokens in found)

    def _watch(self) -> None:
        while True:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            try:
                self.look()
            except Exception:  # a store out of reach, or a new index that does not fit, must not end the old one
                logger.exception("the new index cannot be used; the old one goes on answering")

    def look(self) -> None:
        """Switch to the index that is published now, if it is another one. Questions meanwhile go to the old one."""
        content = _content_hash(self._artifact)
        if content in ("", self._content):
            return
        try:
            self._retriever.switch_to(self._artifact.local())
        except UserError:  # of another embedder, or damaged: it will not get better, so it is told once
            self._content = content
            raise
        self._content = content
        logger.info("answering from index %s", content[:12])

    async def _apart(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)


def _content_hash(index: Artifact) -> str:
    """Empty while an index is being replaced."""
    manifest = index.manifest()
    return "" if manifest is None else manifest.content_hash

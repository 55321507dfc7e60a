"""The calls that need the retriever alone: embeddings, search, and the papers themselves."""

from __future__ import annotations

import base64

import numpy as np
from ray.serve.handle import DeploymentHandle

from serving.metrics import ServiceMetrics
from serving.refusals import overload_told
from serving.schemas.errors import invalid_request
from serving.schemas.retrieval import (
    Embedding,
    EmbeddingList,
    EmbeddingRequest,
    EmbeddingUsage,
    FoundPassage,
    Paper,
    PaperList,
    PaperText,
    ScoredPassage,
    SearchRequest,
    SearchResult,
)


class Library:
    """What the ingress passes on to the retriever."""

    def __init__(self, retriever: DeploymentHandle, model: str, metrics: ServiceMetrics) -> None:
        self._retriever, self._model, self._metrics = retriever, model, metrics

    async def embed(self, request: EmbeddingRequest) -> EmbeddingList:
        """Vectors of the index's own embedder."""
        if request.model != self._model:
            raise invalid_request(f"Embeddings are made by {self._model}", "model", "model_not_found", status=404)
        with overload_told(self._metrics):
            vectors, tokens = await self._retriever.embed.remote(request.texts)
        in_base64 = request.encoding_format == "base64"
        data = [
            Embedding(index=index, embedding=_base64(vector) if in_base64 else vector.tolist())
            for index, vector in enumerate(vectors)
        ]
        usage = EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
        return EmbeddingList(data=data, model=request.model, usage=usage)

    async def search(self, request: SearchRequest) -> SearchResult:
        """Passages for a question, without an answer."""
        with overload_told(self._metrics), self._metrics.retrieval():
            passages = await self._retriever.retrieve.remote(request.query, request.k, request.documents)
        found = [
            ScoredPassage.from_passage(passage, similarity=passage.similarity, score=passage.score)
            for passage in passages
        ]
        return SearchResult(data=found)

    async def papers(self) -> PaperList:
        """The papers in the index, by title."""
        with overload_told(self._metrics):
            titles: dict[str, str] = await self._retriever.papers.remote()
        return PaperList(data=[Paper(source=source, title=title) for source, title in titles.items()])

    async def paper(self, source: str) -> PaperText:
        """The passages of one paper in reading order."""
        with overload_told(self._metrics):
            passages = await self._retriever.paper.remote(source)
        if not passages:
            raise invalid_request(f"There is no paper {source[:200]!r} in the index.", "source", status=404)
        found = [FoundPassage.from_passage(passage) for passage in passages]
        return PaperText(source=source, title=passages[0].title, passages=found)


def _base64(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()

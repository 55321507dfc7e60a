"""The deployment in front: OpenAI's API over HTTP, composed from the retriever and the generator."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from fastapi import FastAPI
from fastapi.responses import FileResponse, Response, StreamingResponse
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from qa_core.config import ServeSettings
from qa_core.generation.chat import ABSTENTION
from qa_core.schemas import Passage
from serving.generator import Piece
from serving.guard import Guard
from serving.keys import KeyFile, RateLimit
from serving.metrics import ServiceMetrics
from serving.refusals import add_error_handlers
from serving.replies import ChatReply, CompletionReply, Reply, events
from serving.schemas.base import ApiModel, Health, ModelCard, ModelList
from serving.schemas.chat import ChatCompletion, ChatCompletionRequest
from serving.schemas.completions import Completion, CompletionRequest
from serving.schemas.errors import ErrorBody, invalid_request, overloaded
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

HEALTH_TIMEOUT_S = 10.0
_PAGE = Path(__file__).parent / "web"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 403, 404, 413, 429, 503)
}


class Ingress:
    """One replica of the HTTP front. Holds no state but the two handles and what it has counted."""

    def __init__(self, settings: ServeSettings, retriever: DeploymentHandle, generator: DeploymentHandle) -> None:
        self._settings = settings
        self._retriever = retriever
        self._generator = generator
        self._metrics = ServiceMetrics()
        self._rag_model = f"{settings.model_name}-rag"
        self._embedding_model = f"{settings.model_name}-embedding"
        names = (settings.model_name, self._rag_model, self._embedding_model)
        self._models = {name: ModelCard(id=name, created=int(time.time())) for name in names}

    def __serve_build_asgi_app__(self) -> Guard:
        """Ray Serve asks for the application once, in the replica that serves it."""
        api = FastAPI(title="Lectern", docs_url=None, redoc_url=None)
        routes: list[tuple[str, str, Callable[..., Any], type[ApiModel]]] = [
            ("/v1/chat/completions", "POST", self.chat, ChatCompletion),
            ("/v1/completions", "POST", self.complete, Completion),
            ("/v1/embeddings", "POST", self.embed, EmbeddingList),
            ("/v1/search", "POST", self.search, SearchResult),
            ("/v1/papers", "GET", self.papers, PaperList),
            ("/v1/papers/{source:path}", "GET", self.paper, PaperText),
            ("/v1/models", "GET", self.list_models, ModelList),
            ("/v1/models/{model}", "GET", self.get_model, ModelCard),
            ("/health", "GET", self.health, Health),
            ("/ready", "GET", self.ready, Health),
        ]
        for path, method, endpoint, answer in routes:
            api.add_api_route(path, endpoint, methods=[method], response_model=answer, responses=_REFUSALS)
        api.add_api_route("/metrics", self.metrics, methods=["GET"], include_in_schema=False)
        for path, name in (("/", "index.html"), ("/page.js", "page.js"), ("/page.css", "page.css")):
            api.add_api_route(path, _file(name), methods=["GET"], include_in_schema=False)
        add_error_handlers(api)
        return self._guarded(api)

    def _guarded(self, api: FastAPI) -> Guard:
        settings = self._settings
        keys = KeyFile(Path(settings.api_keys_file)) if settings.api_keys_file else None
        rate = RateLimit(settings.requests_per_minute) if settings.requests_per_minute else None
        return Guard(api, settings.allowed_hosts, settings.max_body_bytes, keys, rate)

    async def chat(self, request: ChatCompletionRequest) -> ChatCompletion | StreamingResponse:
        """Answer a conversation, as one JSON object or as server-sent events."""
        self._model(request.model, self._embedding_model)
        started = time.perf_counter()
        reply = ChatReply(request.model, bool(request.retrieval.trace))
        with self._overload():
            passages = await self._passages(request)
            if passages is not None and not passages:
                return await self._tell(request, reply, _nothing_found(), started)
            if request.stream:
                pieces = self._generator.stream.options(stream=True).remote(request, passages or [])
                return await self._tell(request, reply, cast(AsyncIterator[Piece], pieces), started)
            piece = await self._generator.answer.remote(request, passages or [])
        self._metrics.answered(request.model, piece, started)
        return reply.whole(piece)

    async def complete(self, request: CompletionRequest) -> Completion | StreamingResponse:
        """Go on with a prompt as it is."""
        self._model(request.model, self._rag_model, self._embedding_model)
        started, reply = time.perf_counter(), CompletionReply(request.model)
        with self._overload():
            if request.stream:
                pieces = self._generator.stream_completion.options(stream=True).remote(request)
                return await self._tell(request, reply, cast(AsyncIterator[Piece], pieces), started)
            piece = await self._generator.complete.remote(request)
        self._metrics.answered(request.model, piece, started)
        return reply.whole(piece)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingList:
        """Vectors of the index's own embedder."""
        if request.model != self._embedding_model:
            raise self._no_model(request.model, [self._embedding_model])
        with self._overload():
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
        with self._overload(), self._metrics.retrieval():
            passages = await self._retriever.retrieve.remote(request.query, request.k, request.documents)
        found = [
            ScoredPassage.from_passage(passage, similarity=passage.similarity, score=passage.score)
            for passage in passages
        ]
        return SearchResult(data=found)

    async def papers(self) -> PaperList:
        """The papers in the index, by title."""
        with self._overload():
            titles: dict[str, str] = await self._retriever.papers.remote()
        return PaperList(data=[Paper(source=source, title=title) for source, title in titles.items()])

    async def paper(self, source: str) -> PaperText:
        """The passages of one paper in reading order."""
        with self._overload():
            passages = await self._retriever.paper.remote(source)
        if not passages:
            raise invalid_request(f"There is no paper {source[:200]!r} in the index.", "source", status=404)
        found = [FoundPassage.from_passage(passage) for passage in passages]
        return PaperText(source=source, title=passages[0].title, passages=found)

    async def list_models(self) -> ModelList:
        """The tuned model alone, the same with retrieval, and the embedder."""
        return ModelList(data=list(self._models.values()))

    async def get_model(self, model: str) -> ModelCard:
        return self._model(model)

    async def health(self) -> Health:
        """Decodes a token through the generator: 200 means that an answer is possible now."""
        return await self._within_health_timeout(self._generator.decode_one.remote())

    async def ready(self) -> Health:
        """Whether the generator answers at all; costs no decoding."""
        return await self._within_health_timeout(self._generator.load.remote())

    async def metrics(self) -> Response:
        with self._overload():
            load = await self._generator.load.remote()
        return Response(self._metrics.render(load), media_type="text/plain; version=0.0.4")

    async def _within_health_timeout(self, answer: Any) -> Health:
        with self._overload():
            try:
                await asyncio.wait_for(answer, HEALTH_TIMEOUT_S)
            except TimeoutError as error:
                raise overloaded(f"The generator did not answer within {HEALTH_TIMEOUT_S:g} s.") from error
        return Health()

    async def _tell(
        self,
        request: ChatCompletionRequest | CompletionRequest,
        reply: Reply,
        pieces: AsyncIterator[Piece],
        started: float,
    ) -> Any:
        pieces = self._metrics.timed(request.model, pieces, started)
        # The status line goes out with the first event. A refusal must be known before.
        first = await anext(pieces)
        if not request.stream:
            return reply.whole(first)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        told = events(reply, first, pieces, request.include_usage)
        return StreamingResponse(told, media_type="text/event-stream", headers=headers)

    async def _passages(self, request: ChatCompletionRequest) -> list[Passage] | None:
        """None for the model without retrieval."""
        if request.model != self._rag_model:
            return None
        options = request.retrieval
        with self._metrics.retrieval():
            return await self._retriever.retrieve.remote(request.question, options.k, options.documents)

    def _model(self, name: str, *unfit: str) -> ModelCard:
        if name not in self._models or name in unfit:
            raise self._no_model(name, [known for known in self._models if known not in unfit])
        return self._models[name]

    def _no_model(self, name: str, known: Sequence[str]) -> Exception:
        return invalid_request(
            f"There is no model {name[:200]!r} for this; there are: {', '.join(known)}",
            "model",
            "model_not_found",
            status=404,
        )

    @contextmanager
    def _overload(self) -> Iterator[None]:
        try:
            yield
        except (BackPressureError, DeploymentUnavailableError) as error:
            self._metrics.refused()
            raise overloaded("The service has as many requests as it can queue; try again.") from error


async def _nothing_found() -> AsyncIterator[Piece]:
    """Of a question for which there is nothing to read; no model is asked."""
    yield Piece(ABSTENTION, 0, 0, finish_reason="stop", abstention="no_passage_found")


def _base64(vector: np.ndarray) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _file(name: str) -> Any:
    async def page() -> FileResponse:
        return FileResponse(_PAGE / name, headers={"Cache-Control": "no-cache"})

    return page

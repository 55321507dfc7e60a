"""The deployment in front: OpenAI's API over HTTP, composed from the retriever and the generator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response, StreamingResponse
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from qa_core.config import ServeSettings
from qa_core.generation.chat import ABSTENTION
from qa_core.schemas import Passage
from serving import probes
from serving.guard import Guard, is_unspecified
from serving.keys import KeyFile, RateLimit
from serving.library import Library
from serving.metrics import ServiceMetrics
from serving.pieces import Load, Piece
from serving.refusals import add_error_handlers, overload_told
from serving.replies import ChatReply, CompletionReply, Reply, events
from serving.room import Room
from serving.schemas.base import ApiModel, Health, ModelCard, ModelList
from serving.schemas.chat import ChatCompletion, ChatCompletionRequest
from serving.schemas.completions import Completion, CompletionRequest
from serving.schemas.errors import ErrorBody, invalid_request
from serving.schemas.retrieval import EmbeddingList, PaperList, PaperText, RetrievalOptions, SearchResult
from serving.transport import let_ports_be_taken_again, require_keys_behind_haproxy

_PAGE = Path(__file__).parent / "web"
_PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'",
}
_LOAD_WITHIN_S = 1.0
"""Behind the answers of a full generator its load may take long, and who collects figures does not wait so long."""
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 403, 404, 408, 413, 429, 503)
}


class Ingress:
    """One replica of the HTTP front. Holds no state but the two handles and what it has counted."""

    def __init__(self, settings: ServeSettings, retriever: DeploymentHandle, generator: DeploymentHandle) -> None:
        require_keys_behind_haproxy(settings)
        let_ports_be_taken_again()
        self._settings = settings
        # Over gRPC: what goes through Ray's object store costs several times as much, for each piece of a stream.
        self._retriever, self._generator = (one.options(_by_reference=False) for one in (retriever, generator))
        self._generators = _by_model(settings, self._generator)
        self._metrics = ServiceMetrics()
        self._load = Load(slots=0, running=0, waiting=0)
        self._room = Room.of(settings.generator, self._metrics.refused)
        self._rag_models = [name for name in self._generators if name.endswith("-rag")]
        self._embedding_model = f"{settings.model_name}-embedding"
        names = (*self._generators, self._embedding_model)
        self._models = {name: ModelCard(id=name, created=int(time.time())) for name in names}

    def __serve_build_asgi_app__(self) -> Guard:
        """Ray Serve asks for the application once, in the replica that serves it."""
        api = FastAPI(title="Lectern", docs_url=None, redoc_url=None)
        for path, method, endpoint, answer in self._routes():
            api.add_api_route(path, endpoint, methods=[method], response_model=answer, responses=_REFUSALS)
        api.add_api_route("/metrics", self.metrics, methods=["GET"], include_in_schema=False)
        for path, name in (("/", "index.html"), ("/page.js", "page.js"), ("/page.css", "page.css")):
            api.add_api_route(path, _file(name), methods=["GET"], include_in_schema=False)
        add_error_handlers(api)
        return self._guarded(api)

    def _routes(self) -> list[tuple[str, str, Callable[..., Any], type[ApiModel]]]:
        library = Library(self._retriever, self._embedding_model, self._metrics)
        return [
            ("/v1/chat/completions", "POST", self.chat, ChatCompletion),
            ("/v1/completions", "POST", self.complete, Completion),
            ("/v1/embeddings", "POST", library.embed, EmbeddingList),
            ("/v1/search", "POST", library.search, SearchResult),
            ("/v1/papers", "GET", library.papers, PaperList),
            ("/v1/papers/{source:path}", "GET", library.paper, PaperText),
            ("/v1/models", "GET", self.list_models, ModelList),
            ("/v1/models/{model}", "GET", self.get_model, ModelCard),
            ("/health", "GET", self._probe(self._generator.decode_one.remote), Health),
            ("/ready", "GET", self._probe(self._generator.load.remote), Health),
        ]

    def _guarded(self, api: FastAPI) -> Guard:
        settings = self._settings
        keys = KeyFile(Path(settings.api_keys_file)) if settings.api_keys_file else None
        rate = RateLimit(settings.requests_per_minute) if settings.requests_per_minute else None
        hosts = [*settings.allowed_hosts, settings.host]  # 0.0.0.0 is no name that a client asks under
        served = [host for host in hosts if not is_unspecified(host)]
        return Guard(api, served, settings.max_body_bytes, settings.body_timeout_s, keys, rate, self._room)

    def _probe(self, ask: Callable[[], Awaitable[Any]]) -> Callable[..., Any]:
        return _endpoint(probes.Probe(ask, lambda: self._room.is_crowded))

    async def chat(self, request: ChatCompletionRequest) -> ChatCompletion | StreamingResponse:
        """Answer a conversation, as one JSON object or as server-sent events."""
        self._model(request.model, self._embedding_model)
        reads, generator = request.model in self._rag_models, self._generators[request.model]
        if request.retrieval and not reads:
            raise invalid_request(f"{request.model} reads no passages; ask {request.model}-rag", "retrieval")
        started = time.perf_counter()
        reply = ChatReply(request.model, bool(request.retrieval and request.retrieval.trace))
        with overload_told(self._metrics):
            passages = await self._passages(request) if reads else []
            if reads and not passages:
                return self._nothing_found(request, reply, started)
            if request.stream:
                pieces = generator.stream.options(stream=True).remote(request, passages)
                return await self._stream(request, reply, cast(AsyncIterator[Piece], pieces), started)
            piece = await generator.answer.remote(request, passages)
        self._metrics.answered(request.model, piece, started)
        return reply.whole(piece)

    async def complete(self, request: CompletionRequest) -> Completion | StreamingResponse:
        """Go on with a prompt as it is."""
        self._model(request.model, *self._rag_models, self._embedding_model)
        generator = self._generators[request.model]
        started, reply = time.perf_counter(), CompletionReply(request.model)
        with overload_told(self._metrics):
            if request.stream:
                pieces = generator.stream_completion.options(stream=True).remote(request)
                return await self._stream(request, reply, cast(AsyncIterator[Piece], pieces), started)
            piece = await generator.complete.remote(request)
        self._metrics.answered(request.model, piece, started)
        return reply.whole(piece)

    async def list_models(self) -> ModelList:
        """The model alone, the same with retrieval, both under each adapter, and the embedder."""
        return ModelList(data=list(self._models.values()))

    async def get_model(self, model: str) -> ModelCard:
        return self._model(model)

    async def metrics(self) -> Response:
        # What the ingress counted matters most when the generator is full; its load is then the last one known.
        with suppress(BackPressureError, DeploymentUnavailableError, TimeoutError):
            self._load = await asyncio.wait_for(self._generator.load.remote(), _LOAD_WITHIN_S)
        return Response(self._metrics.render(self._load), media_type="text/plain; version=0.0.4")

    async def _passages(self, request: ChatCompletionRequest) -> list[Passage]:
        options = request.retrieval or RetrievalOptions()
        with self._metrics.retrieval():
            return await self._retriever.retrieve.remote(request.question, options.k, options.documents)

    def _nothing_found(
        self, request: ChatCompletionRequest, reply: ChatReply, started: float
    ) -> ChatCompletion | StreamingResponse:
        """There is nothing to read, so no model is asked."""
        piece = Piece(ABSTENTION, 0, 0, finish_reason="stop", abstention="no_passage_found")
        self._metrics.answered(request.model, piece, started)
        return _sse(events(reply, piece, _none(), request.include_usage)) if request.stream else reply.whole(piece)

    async def _stream(
        self,
        request: ChatCompletionRequest | CompletionRequest,
        reply: Reply,
        pieces: AsyncIterator[Piece],
        started: float,
    ) -> StreamingResponse:
        pieces = self._metrics.timed(request.model, pieces, started)
        # The status line goes out with the first event. A refusal must be known before.
        first = await anext(pieces)
        return _sse(events(reply, first, pieces, request.include_usage))

    def _model(self, name: str, *unfit: str) -> ModelCard:
        if name not in self._models or name in unfit:
            known = ", ".join(known for known in self._models if known not in unfit)
            raise invalid_request(
                f"There is no model {name[:200]!r} for this; there are: {known}", "model", "model_not_found", 404
            )
        return self._models[name]


def _by_model(settings: ServeSettings, generator: DeploymentHandle) -> dict[str, DeploymentHandle]:
    """Whom to ask for each model that answers; Ray Serve tells the replica which adapter is meant."""
    asked = {settings.model_name: generator}
    asked |= {name: generator.options(multiplexed_model_id=name) for name in settings.adapters}
    return {f"{name}{mode}": handle for name, handle in asked.items() for mode in ("", "-rag")}


def _sse(told: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


async def _none() -> AsyncIterator[Piece]:
    """No further pieces."""
    return
    yield


def _endpoint(probe: probes.Probe) -> Callable[..., Any]:
    async def ask() -> Health:
        return await probe()

    return ask


def _file(name: str) -> Callable[..., Any]:
    async def page() -> FileResponse:
        return FileResponse(_PAGE / name, headers=_PAGE_HEADERS)

    return page

"""The deployment in front: OpenAI's chat completions over HTTP, composed from the retriever and the generator."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from starlette.exceptions import HTTPException

from qa_core.config import ServeSettings
from qa_core.schemas import Passage
from serving.generator import Piece
from serving.schemas import (
    ApiError,
    AssistantMessage,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Choice,
    ChunkChoice,
    ChunkDelta,
    ErrorBody,
    ErrorDetail,
    Health,
    ModelCard,
    ModelList,
    Usage,
    from_validation,
    invalid_request,
    overloaded,
)

logger = logging.getLogger("ray.serve")

HEALTH_TIMEOUT_S = 10.0
_REFUSALS: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (400, 404, 503)}


@dataclass(frozen=True)
class Reply:
    """What every part of one answer repeats."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, piece: Piece) -> ChatCompletion:
        assert piece.finish_reason is not None
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[Choice(message=AssistantMessage(content=piece.text), finish_reason=piece.finish_reason)],
            usage=Usage.of(piece.prompt_tokens, piece.completion_tokens),
            citations=list(piece.citations),
        )

    def part(self, piece: Piece, role: bool = False) -> ChatCompletionChunk:
        delta = ChunkDelta(role="assistant" if role else None, content=piece.text)
        return ChatCompletionChunk(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[ChunkChoice(delta=delta, finish_reason=piece.finish_reason)],
            citations=list(piece.citations) if piece.finish_reason else None,
        )

    def bill(self, piece: Piece) -> ChatCompletionChunk:
        usage = Usage.of(piece.prompt_tokens, piece.completion_tokens)
        return ChatCompletionChunk(id=self.id, created=self.created, model=self.model, choices=[], usage=usage)


class Ingress:
    """One replica of the HTTP front. Holds no state but the two handles."""

    def __init__(self, settings: ServeSettings, retriever: DeploymentHandle, generator: DeploymentHandle) -> None:
        self._retriever = retriever
        self._generator = generator
        self._rag_model = f"{settings.model_name}-rag"
        self._models = {
            name: ModelCard(id=name, created=int(time.time())) for name in (settings.model_name, self._rag_model)
        }

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Ray Serve asks for the application once, in the replica that serves it."""
        api = FastAPI(title="Lectern", docs_url=None, redoc_url=None)
        api.add_api_route(
            "/v1/chat/completions", self.chat, methods=["POST"], response_model=ChatCompletion, responses=_REFUSALS
        )
        api.add_api_route("/v1/models", self.list_models, methods=["GET"])
        api.add_api_route("/v1/models/{model}", self.get_model, methods=["GET"], responses={404: {"model": ErrorBody}})
        api.add_api_route("/health", self.health, methods=["GET"], responses={503: {"model": ErrorBody}})
        add_error_handlers(api)
        return api

    async def chat(self, request: ChatCompletionRequest) -> ChatCompletion | StreamingResponse:
        """Answer a conversation, as one JSON object or as server-sent events."""
        self._model(request.model)
        try:
            passages = await self._passages(request)
            if not request.stream:
                return Reply(request.model).whole(await self._generator.complete.remote(request, passages))
            pieces = cast(AsyncIterator[Piece], self._generator.stream.options(stream=True).remote(request, passages))
            # The status line goes out with the first event. A refusal must be known before.
            first = await anext(pieces)
        except (BackPressureError, DeploymentUnavailableError) as error:
            raise overloaded("The service has as many requests as it can queue; try again.") from error
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(events(request, first, pieces), media_type="text/event-stream", headers=headers)

    async def list_models(self) -> ModelList:
        """The tuned model alone, and the same with retrieval."""
        return ModelList(data=list(self._models.values()))

    async def get_model(self, model: str) -> ModelCard:
        return self._model(model)

    async def health(self) -> Health:
        """Decodes a token through the generator: 200 means that an answer is possible now."""
        try:
            await asyncio.wait_for(self._generator.decode_one.remote(), HEALTH_TIMEOUT_S)
        except TimeoutError as error:
            raise overloaded(f"The generator decoded no token within {HEALTH_TIMEOUT_S:g} s.") from error
        except (BackPressureError, DeploymentUnavailableError) as error:
            raise overloaded("The generator takes no requests now.") from error
        return Health()

    def _model(self, name: str) -> ModelCard:
        if name not in self._models:
            known = ", ".join(self._models)
            raise invalid_request(
                f"There is no model {name!r}; there are: {known}", "model", "model_not_found", status=404
            )
        return self._models[name]

    async def _passages(self, request: ChatCompletionRequest) -> list[Passage]:
        return await self._retriever.retrieve.remote(request.question) if request.model == self._rag_model else []


async def events(request: ChatCompletionRequest, first: Piece, pieces: AsyncIterator[Piece]) -> AsyncIterator[str]:
    """Server-sent events for an answer whose ``first`` piece is there already."""
    reply = Reply(request.model)
    last = first
    yield _event(reply.part(first, role=True))
    try:
        async for last in pieces:
            yield _event(reply.part(last))
    except Exception as error:  # the status 200 is out: all that is left is to say it in the stream
        logger.exception("the answer broke off")
        detail = error.detail if isinstance(error, ApiError) else _INTERNAL
        yield f"data: {ErrorBody(error=detail).model_dump_json()}\n\n"
        return
    if request.include_usage:
        yield _event(reply.bill(last))
    yield "data: [DONE]\n\n"


def _event(chunk: ChatCompletionChunk) -> str:
    return f"data: {chunk.model_dump_json()}\n\n"


# ------------------------------------------------------------------------------------------------------------- errors

_INTERNAL = ErrorDetail(
    message="The server failed to answer; its log says why.", type="server_error", code="internal_error"
)


def add_error_handlers(api: FastAPI) -> None:
    """Every refusal, whoever makes it, has OpenAI's shape."""

    async def refused(_: Request, error: ApiError) -> JSONResponse:
        return _response(error)

    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return _response(from_validation(error.errors()))

    async def not_routed(_: Request, error: HTTPException) -> JSONResponse:
        return _response(invalid_request(str(error.detail), status=error.status_code), dict(error.headers or {}))

    async def failed(_: Request, error: Exception) -> JSONResponse:
        logger.error("a request failed", exc_info=error)
        return _response(ApiError(500, _INTERNAL))

    api.add_exception_handler(ApiError, refused)  # type: ignore[arg-type]  # starlette types handlers by Exception
    api.add_exception_handler(RequestValidationError, invalid)  # type: ignore[arg-type]
    api.add_exception_handler(HTTPException, not_routed)  # type: ignore[arg-type]
    api.add_exception_handler(Exception, failed)


def _response(error: ApiError, headers: dict[str, str] | None = None) -> JSONResponse:
    body = ErrorBody(error=error.detail).model_dump()
    return JSONResponse(body, status_code=error.status, headers={**(headers or {}), **error.headers})

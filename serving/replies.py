"""Pieces of an answer to OpenAI's objects and to server-sent events."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel

from serving.pieces import Piece
from serving.schemas.base import Usage
from serving.schemas.chat import (
    AssistantMessage,
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    ChunkDelta,
)
from serving.schemas.completions import Completion, CompletionChoice
from serving.schemas.errors import INTERNAL, ApiError, ErrorBody

logger = logging.getLogger("ray.serve")


class Reply(Protocol):
    """How one answer is told, whole or in parts."""

    def whole(self, piece: Piece) -> BaseModel: ...

    def part(self, piece: Piece, first: bool) -> BaseModel: ...

    def bill(self, piece: Piece) -> BaseModel:
        """The usage, which follows the last part where it was asked for."""


@dataclass(frozen=True)
class ChatReply:
    """What every part of one chat completion repeats."""

    model: str
    traced: bool
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, piece: Piece) -> ChatCompletion:
        assert piece.finish_reason is not None
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[Choice(message=AssistantMessage(content=piece.text), finish_reason=piece.finish_reason)],
            usage=_usage(piece),
            citations=list(piece.citations),
            conflicts=list(piece.conflicts),
            abstention=piece.abstention,
            trace=list(piece.trace) if self.traced else None,
        )

    def part(self, piece: Piece, first: bool) -> ChatCompletionChunk:
        delta = ChunkDelta(role="assistant" if first else None, content=piece.text)
        ended = piece.finish_reason is not None
        return ChatCompletionChunk(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[ChunkChoice(delta=delta, finish_reason=piece.finish_reason)],
            citations=list(piece.citations) if ended else None,
            conflicts=list(piece.conflicts) if ended else None,
            abstention=piece.abstention,
            trace=list(piece.trace) if ended and self.traced else None,
        )

    def bill(self, piece: Piece) -> ChatCompletionChunk:
        return ChatCompletionChunk(id=self.id, created=self.created, model=self.model, choices=[], usage=_usage(piece))


@dataclass(frozen=True)
class CompletionReply:
    """What every part of one plain completion repeats."""

    model: str
    id: str = field(default_factory=lambda: f"cmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, piece: Piece) -> Completion:
        return self._completion([CompletionChoice(text=piece.text, finish_reason=piece.finish_reason)], _usage(piece))

    def part(self, piece: Piece, first: bool) -> Completion:
        return self._completion([CompletionChoice(text=piece.text, finish_reason=piece.finish_reason)], None)

    def bill(self, piece: Piece) -> Completion:
        return self._completion([], _usage(piece))

    def _completion(self, choices: list[CompletionChoice], usage: Usage | None) -> Completion:
        return Completion(id=self.id, created=self.created, model=self.model, choices=choices, usage=usage)


async def events(reply: Reply, first: Piece, pieces: AsyncIterator[Piece], include_usage: bool) -> AsyncIterator[str]:
    """Server-sent events for an answer whose ``first`` piece is there already."""
    last = first
    yield _event(reply.part(first, True))
    try:
        async for last in pieces:
            yield _event(reply.part(last, False))
    except Exception as error:  # the status 200 is out: all that is left is to say it in the stream
        logger.exception("the answer broke off")
        yield _event(ErrorBody(error=error.detail if isinstance(error, ApiError) else INTERNAL))
        return
    if include_usage:
        yield _event(reply.bill(last))
    yield "data: [DONE]\n\n"


def _event(part: BaseModel) -> str:
    return f"data: {part.model_dump_json()}\n\n"


def _usage(piece: Piece) -> Usage:
    return Usage.of(piece.prompt_tokens, piece.completion_tokens, piece.cached_tokens)

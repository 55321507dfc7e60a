"""What a generator tells the ingress."""

from __future__ import annotations

from dataclasses import dataclass

from serving.schemas.base import FinishReason
from serving.schemas.retrieval import Abstention, Citation, SourceConflict, TracedPassage


@dataclass(frozen=True)
class Piece:
    """A part of an answer, or all of it. The last piece of a stream carries what belongs to the whole answer."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    finish_reason: FinishReason | None = None
    citations: tuple[Citation, ...] = ()
    conflicts: tuple[SourceConflict, ...] = ()
    abstention: Abstention | None = None
    trace: tuple[TracedPassage, ...] = ()


@dataclass(frozen=True)
class Load:
    """What a replica is doing now."""

    slots: int
    running: int
    waiting: int

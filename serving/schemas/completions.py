"""Completions of a prompt as it is, without a chat template."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from serving.schemas.base import ApiModel, FinishReason, Text, Usage, WhenSet
from serving.schemas.sampling import SamplingRequest


class CompletionRequest(SamplingRequest):
    prompt: Annotated[Text, Field(min_length=1)]


class CompletionChoice(ApiModel):
    index: int = 0
    text: str
    finish_reason: FinishReason | None
    logprobs: None = None


class Completion(ApiModel):
    """The whole completion, or one event of a stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = WhenSet

"""Chat completions."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from qa_core.schemas import Message
from serving.schemas.base import ApiModel, FinishReason, Text, Usage, WhenSet
from serving.schemas.retrieval import Abstention, Citation, RetrievalOptions, SourceConflict, TracedPassage
from serving.schemas.sampling import ResponseFormat, SamplingRequest, schema_of


class TextPart(ApiModel):
    type: Literal["text"]
    text: Text


class ChatMessage(ApiModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[TextPart]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)

    def to_message(self) -> Message:
        # "developer" is OpenAI's newer word for "system"; chat templates know only the older one.
        return Message(role="system" if self.role == "developer" else self.role, content=self.text)


class ChatCompletionRequest(SamplingRequest):
    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    response_format: ResponseFormat | None = None
    retrieval: RetrievalOptions | None = None
    """Of Lectern: what a model with retrieval reads. In OpenAI's client: ``extra_body={"retrieval": {...}}``."""

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def answer_schema(self) -> str:
        return schema_of(self.response_format)

    @property
    def question(self) -> str:
        """The last turn, which retrieval searches with."""
        return self.messages[-1].text

    @model_validator(mode="after")
    def _ends_with_a_question(self) -> Self:
        if self.messages[-1].role != "user" or not self.question.strip():
            raise ValueError("the last message must come from the user and hold some text")
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("max_tokens and max_completion_tokens are the same limit: set one of them")
        return self


class AssistantMessage(ApiModel):
    role: Literal["assistant"] = "assistant"
    content: str


class Choice(ApiModel):
    index: int = 0
    message: AssistantMessage
    finish_reason: FinishReason


class ChatCompletion(ApiModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    citations: list[Citation]
    conflicts: list[SourceConflict]
    abstention: Abstention | None = WhenSet
    trace: list[TracedPassage] | None = WhenSet


class ChunkDelta(ApiModel):
    role: Literal["assistant"] | None = WhenSet
    content: str


class ChunkChoice(ApiModel):
    index: int = 0
    delta: ChunkDelta
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(ApiModel):
    """One event of a stream; what belongs to the whole answer comes with the chunk that carries the finish reason,
    ``usage`` after it."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = WhenSet
    citations: list[Citation] | None = WhenSet
    conflicts: list[SourceConflict] | None = WhenSet
    abstention: Abstention | None = WhenSet
    trace: list[TracedPassage] | None = WhenSet

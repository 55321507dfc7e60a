"""What crosses the wire: the subset of OpenAI's chat completions that Lectern speaks, and citations beside it.

Requests are an allow-list. A field that is not here is refused by name and never ignored, so a client learns at once
that, say, ``tools`` has no effect. Types are strict: the string ``"5"`` is not a number.
Source of the shapes: OpenAI's API reference, "Chat completions".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from qa_core.schemas import Message, Passage

FinishReason = Literal["stop", "length"]


def _encodable(text: str) -> str:
    # JSON can carry half of a surrogate pair ("\\ud800"), which no tokenizer and no UTF-8 response can.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text holds a lone surrogate, which is not valid Unicode")
    return text


Text = Annotated[str, AfterValidator(_encodable)]
StopString = Annotated[Text, Field(min_length=1, max_length=256)]


class ApiModel(BaseModel):
    """One JSON object of the API; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


# ------------------------------------------------------------------------------------------------------------ request


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


class StreamOptions(ApiModel):
    include_usage: bool | None = None


class ChatCompletionRequest(ApiModel):
    model: Text
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: StopString | list[StopString] | None = None
    n: Literal[1] | None = None

    @property
    def token_limit(self) -> int | None:
        """Most tokens of the answer, or None where the request leaves it to the server."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stop_strings(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def question(self) -> str:
        """The last turn, which retrieval searches with."""
        return self.messages[-1].text

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @model_validator(mode="after")
    def _ends_with_a_question(self) -> Self:
        if self.messages[-1].role != "user" or not self.question.strip():
            raise ValueError("the last message must come from the user and hold some text")
        return self

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("max_tokens and max_completion_tokens are the same limit: set one of them")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        if len(self.stop_strings) > 4:
            raise ValueError(f"stop takes at most 4 strings, not {len(self.stop_strings)}")
        return self


# ----------------------------------------------------------------------------------------------------------- response

WhenSet: Any = Field(None, exclude_if=lambda value: value is None)
"""Left out of the JSON while it is None, where OpenAI leaves the field out too instead of sending null."""


class Citation(ApiModel):
    """The passage behind a mark ``[number]`` in the answer; characters are offsets in the paper's text."""

    number: int
    chunk_id: str
    source: str
    title: str
    section_path: list[str]
    start_char: int
    end_char: int
    text: str

    @classmethod
    def from_passage(cls, number: int, passage: Passage) -> Self:
        return cls(
            number=number,
            chunk_id=passage.chunk_id,
            source=passage.source,
            title=passage.title,
            section_path=list(passage.section_path),
            start_char=passage.start_char,
            end_char=passage.end_char,
            text=passage.text,
        )


class Usage(ApiModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, prompt_tokens: int, completion_tokens: int) -> Self:
        total = prompt_tokens + completion_tokens
        return cls(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, total_tokens=total)


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


class ChunkDelta(ApiModel):
    role: Literal["assistant"] | None = WhenSet
    content: str


class ChunkChoice(ApiModel):
    index: int = 0
    delta: ChunkDelta
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(ApiModel):
    """One event of a stream; ``citations`` come with the chunk that carries the finish reason, ``usage`` after it."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = WhenSet
    citations: list[Citation] | None = WhenSet


class ModelCard(ApiModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "lectern"


class ModelList(ApiModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(ApiModel):
    status: Literal["ok"] = "ok"


# ------------------------------------------------------------------------------------------------------------- errors


class ErrorDetail(ApiModel):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(ApiModel):
    error: ErrorDetail


class ApiError(Exception):
    """A request that is answered with an error in OpenAI's shape."""

    # No class-level defaults: Ray wraps an error of another process in a subclass that finds these attributes through
    # __getattr__, which a class attribute would hide.
    def __init__(self, status: int, detail: ErrorDetail, retry_after_s: int | None = None) -> None:
        super().__init__(detail.message)
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[ApiError], tuple[int, ErrorDetail, int | None]]:
        return type(self), (self.status, self.detail, self.retry_after_s)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


def invalid_request(message: str, param: str | None = None, code: str | None = None, status: int = 400) -> ApiError:
    """A mistake of the client."""
    return ApiError(status, ErrorDetail(message=message, type="invalid_request_error", param=param, code=code))


def overloaded(message: str, retry_after_s: int = 1) -> ApiError:
    """503: nothing is wrong with the request, it may come again after ``retry_after_s`` seconds."""
    detail = ErrorDetail(message=message, type="server_error", code="overloaded")
    return ApiError(503, detail, retry_after_s)


def prompt_too_long(prompt_tokens: int, answer_tokens: int, n_ctx: int) -> ApiError:
    return invalid_request(
        f"The prompt has {prompt_tokens} tokens and {answer_tokens} are kept for the answer, but the context holds "
        f"{n_ctx} tokens. Shorten the messages or lower max_tokens.",
        param="messages",
        code="context_length_exceeded",
    )


def from_validation(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """The first of pydantic's ``errors`` as a 400; the value itself is not repeated, as it may be anything."""
    first = errors[0]
    # The path may hold a field name of the client's own making.
    path = (
        ".".join(str(part) for part in first["loc"] if part != "body")[:200].encode(errors="replace").decode() or None
    )
    if first["type"] == "extra_forbidden":
        return invalid_request(f"Unknown field: {path}", param=path, code="unknown_parameter")
    message = str(first["msg"]).removeprefix("Value error, ")
    return invalid_request(f"{path}: {message}" if path else message, param=path)

"""What all objects of the API have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

FinishReason = Literal["stop", "length"]


def _encodable(text: str) -> str:
    # JSON can carry half of a surrogate pair ("\\ud800"), which no tokenizer and no UTF-8 response can.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text holds a lone surrogate, which is not valid Unicode")
    return text


Text = Annotated[str, AfterValidator(_encodable)]

WhenSet: Any = Field(None, exclude_if=lambda value: value is None)
"""Left out of the JSON while it is None, where OpenAI leaves the field out too instead of sending null."""


class ApiModel(BaseModel):
    """One JSON object of the API; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class PromptTokensDetails(ApiModel):
    cached_tokens: int
    """Found computed already, because an earlier prompt began alike."""


class Usage(ApiModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = WhenSet

    @classmethod
    def of(cls, prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> Self:
        return cls(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            total_tokens=prompt_tokens + completion_tokens,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=cached_tokens),
        )


class ModelCard(ApiModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "lectern"


class ModelList(ApiModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(ApiModel):
    status: Literal["ok", "busy"] = "ok"
    """``busy``: all slots are taken, so the generator is at work, and was not asked for another token."""

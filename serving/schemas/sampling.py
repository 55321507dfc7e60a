"""The fields with which a request says how its answer is drawn."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from serving.schemas.base import ApiModel, Text

StopString = Annotated[Text, Field(min_length=1, max_length=256)]
_MOST_STOPS, _MOST_BIASES = 4, 300
_ANY_OBJECT = json.dumps({"type": "object"})


class StreamOptions(ApiModel):
    include_usage: bool | None = None


class JsonSchema(ApiModel):
    name: Text
    description: Text | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None
    """Every answer matches its schema, whether this says so or not."""


class ResponseFormat(ApiModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema belongs to type json_schema, and to no other")
        return self


class SamplingRequest(ApiModel):
    """OpenAI's fields; ``top_k`` and ``min_p`` are those of vLLM and llama.cpp's server, ``no_repeat_ngram_size``
    is that of transformers."""

    model: Text
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    no_repeat_ngram_size: int | None = Field(None, ge=0)
    logit_bias: dict[str, float] | None = None
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: StopString | list[StopString] | None = None
    n: Literal[1] | None = None
    user: Text | None = None
    """Accepted, as many clients send it, and used for nothing."""

    @property
    def token_limit(self) -> int | None:
        """Most tokens of the answer, or None where the request leaves it to the server."""
        return self.max_tokens

    @property
    def stop_strings(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def biases(self) -> dict[int, float]:
        return {int(token): bias for token, bias in (self.logit_bias or {}).items()}

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def answer_schema(self) -> str:
        """JSON Schema of the answer; empty for free text."""
        return ""

    @field_validator("logit_bias")
    @classmethod
    def _names_tokens(cls, biases: dict[str, float] | None) -> dict[str, float] | None:
        for token, bias in (biases or {}).items():
            if not (token.isascii() and token.isdigit() and len(token) < 10):
                raise ValueError("its keys are token ids, written as strings of digits")
            if not -100 <= bias <= 100:
                raise ValueError(f"the bias of token {token} must be from -100 to 100")
        if biases and len(biases) > _MOST_BIASES:
            raise ValueError(f"it takes at most {_MOST_BIASES} tokens, not {len(biases)}")
        return biases

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options needs stream: true")
        if len(self.stop_strings) > _MOST_STOPS:
            raise ValueError(f"stop takes at most {_MOST_STOPS} strings, not {len(self.stop_strings)}")
        return self


def schema_of(response_format: ResponseFormat | None) -> str:
    """What :attr:`SamplingRequest.answer_schema` is for OpenAI's ``response_format``."""
    if response_format is None or response_format.type == "text":
        return ""
    return json.dumps(response_format.json_schema.schema_) if response_format.json_schema else _ANY_OBJECT

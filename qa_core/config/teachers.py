"""Who writes questions and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from qa_core.config.section import DataCompute, Section


class TemplateTeacher(Section):
    """The rule-based, seeded teacher: needs no model; its answers are the paper's own sentences."""

    engine: Literal["template"] = "template"
    compute: DataCompute = DataCompute(batch_size=256)

    @property
    def name(self) -> str:
        """Who a row says made it."""
        return "template"


class VllmCompute(Section):
    """Where vLLM runs. A CPU and a GPU differ here and nowhere else."""

    concurrency: int = Field(1, ge=1)
    """Replicas of the engine."""
    batch_size: int = Field(16, ge=1)
    """Requests handed to a replica at a time. Their replies are kept when the whole batch is answered."""
    max_concurrent_batches: int = Field(8, ge=1)
    """Batches a replica holds at once, so that the engine never waits for the next one. A killed run asks those that
    were not whole again: at most this many for each replica, and one if this is 1."""
    placement_group_config: dict[str, Any] | None = None
    """Resources of a replica; ``{bundles: [{CPU: 1}]}`` is a replica without a GPU. One GPU per parallel rank when
    empty."""
    accelerator_type: str | None = None
    env_vars: dict[str, str] = {}
    """Environment of the engine, such as ``VLLM_CPU_KVCACHE_SPACE``."""


class LanguageModel(Section):
    """What every language model that writes or judges rows is told."""

    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(1024, ge=16)
    """Most tokens of a reply."""


class VllmTeacher(LanguageModel):
    """A language model in vLLM, driven by Ray Data."""

    engine: Literal["vllm"]
    model_source: str = "Qwen/Qwen2.5-7B-Instruct"
    """A hub name or a local folder."""
    max_model_len: int = Field(8192, ge=256)
    """Prompt and reply together, in tokens."""
    tensor_parallel_size: int = Field(1, ge=1)
    pipeline_parallel_size: int = Field(1, ge=1)
    engine_kwargs: dict[str, Any] = {}
    """More of vLLM's engine arguments, such as ``gpu_memory_utilization`` or ``quantization``."""
    compute: VllmCompute = VllmCompute()

    @property
    def name(self) -> str:
        """Who a row says made it."""
        return f"vllm:{self.model_source}"

    @property
    def context_tokens(self) -> int:
        """Prompt and reply together."""
        return self.max_model_len

    @model_validator(mode="after")
    def _leaves_room(self) -> VllmTeacher:
        _require_room("max_model_len", self.max_model_len, self.max_tokens)
        return self


class Price(Section):
    """What the endpoint takes, in one currency, per million tokens."""

    input_per_million: float = Field(0.0, ge=0)
    output_per_million: float = Field(0.0, ge=0)


class EndpointCompute(Section):
    """How the endpoint is used, and when to stop."""

    base_url: str = "https://api.openai.com/v1"
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; the key itself stands in no file."""
    max_in_flight: int = Field(64, ge=1)
    """Requests at once."""
    requests_per_minute: int | None = Field(None, ge=1)
    timeout_s: float = Field(120.0, gt=0)
    """Longest wait for one reply."""
    max_retries: int = Field(5, ge=0)
    """Further tries after 408, 409, 429, 5xx, a timeout or a lost connection."""
    max_backoff_s: float = Field(60.0, gt=0)
    batch_size: int = Field(64, ge=1)
    """Requests handed to the asking actor at a time."""
    price: Price = Price()
    budget_tokens: int | None = Field(None, ge=1)
    """Stop asking when this many tokens, sent and received, are spent."""
    budget_money: float | None = Field(None, gt=0)
    """Stop asking when this much is spent, in the currency of ``price``."""

    @model_validator(mode="after")
    def _money_needs_a_price(self) -> EndpointCompute:
        if self.budget_money is not None and not (self.price.input_per_million or self.price.output_per_million):
            raise ValueError("budget_money needs price.input_per_million and price.output_per_million")
        return self


class EndpointTeacher(LanguageModel):
    """A language model behind an OpenAI-compatible endpoint."""

    engine: Literal["openai"]
    model: str
    context_tokens: int = Field(8192, ge=256)
    """Prompt and reply together, in tokens."""
    response_format: Literal["json_schema", "json_object", "text"] = "json_schema"
    """How the endpoint is held to JSON; ``text`` for one that knows neither of the others."""
    extra_body: dict[str, Any] = {}
    """Further fields of the request that the endpoint knows."""
    compute: EndpointCompute = EndpointCompute()

    @property
    def name(self) -> str:
        """Who a row says made it."""
        return f"openai:{self.model}"

    @model_validator(mode="after")
    def _leaves_room(self) -> EndpointTeacher:
        _require_room("context_tokens", self.context_tokens, self.max_tokens)
        return self


def _require_room(name: str, context: int, max_tokens: int) -> None:
    if max_tokens >= context:
        raise ValueError(f"max_tokens={max_tokens} leaves no room for a prompt in {name}={context}")


TeacherSettings = Annotated[TemplateTeacher | VllmTeacher | EndpointTeacher, Field(discriminator="engine")]
LanguageModelSettings = Annotated[VllmTeacher | EndpointTeacher, Field(discriminator="engine")]

"""How answers are decoded."""

from __future__ import annotations

from pydantic import Field

from qa_core.config.section import Section


class GenerationCompute(Section):
    n_threads: int = Field(2, ge=1)
    n_gpu_layers: int = 0
    """Layers offloaded to a GPU; -1 is all."""
    n_batch: int = Field(512, ge=32)
    """Most tokens in one decode call."""


class GenerationSettings(Section):
    n_ctx: int = Field(2048, ge=256)
    """Context of one request in tokens, prompt and answer together."""
    max_tokens: int = Field(160, ge=1)
    """Most tokens of an answer unless the request says otherwise."""
    n_seq_max: int = Field(8, ge=1, le=64)
    """Requests decoded together by one engine."""
    temperature: float = Field(0.0, ge=0)
    no_repeat_ngram_size: int = Field(0, ge=0)
    """So many tokens in a row stand at most once in an answer, unless it is JSON; 0 is no limit. Small models that
    quote fall into loops without it; a large one may have to repeat code or the rows of a table."""
    compute: GenerationCompute = GenerationCompute()

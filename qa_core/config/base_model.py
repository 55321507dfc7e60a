"""Which model is tuned."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from qa_core.config.section import Section


class PretrainedModel(Section):
    """A causal language model from a hub, a local folder or a package."""

    source: Literal["pretrained"] = "pretrained"
    name_or_path: str = "Qwen/Qwen2.5-3B-Instruct"
    """A hub name, a folder as ``save_pretrained`` writes it, or ``package:MODULE/FOLDER`` for a model that ships inside
    a Python package."""
    revision: str | None = None


class ScratchModel(Section):
    """A small Qwen2 model that Lectern builds from the corpus itself: needs no hub and no GPU."""

    source: Literal["scratch"]
    vocab_size: int = Field(4096, ge=512)
    hidden_size: int = Field(256, ge=256, multiple_of=256)
    """A multiple of 256, because k-quants work on super-blocks of 256 weights."""
    intermediate_size: int = Field(768, ge=256, multiple_of=256)
    num_hidden_layers: int = Field(4, ge=1)
    num_attention_heads: int = Field(4, ge=1)
    num_key_value_heads: int = Field(2, ge=1)
    max_position_embeddings: int = Field(2048, ge=256)
    pretraining_steps: int = Field(100, ge=0)
    """Steps of plain language modelling on the corpus."""
    pretraining_batch_size: int = Field(8, ge=1)
    pretraining_length: int = Field(256, ge=16)
    """Tokens in each pretraining sequence."""
    pretraining_learning_rate: float = Field(2e-3, gt=0)


BaseModelSettings = Annotated[PretrainedModel | ScratchModel, Field(discriminator="source")]

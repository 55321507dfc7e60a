"""What a training run would take, before any hour is spent on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from qa_core.config import FinetuneSettings
from qa_core.errors import UserError
from qa_core.training.sft import TrainingExample

_BYTES_4BIT = 0.516
"""Of a weight in NF4 with double quantisation: 4 bits and 0.127 for the scales (Dettmers et al., 2023)."""
_BYTES_TRAINED = 16
"""Of a trained weight: itself, its gradient and Adam's two moments, in 32 bits."""
_SHARDING = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
"""Variables by which `accelerate launch` and people choose a strategy."""
_SHORTEST = 64
"""The least that ``max_length`` may be."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on each worker, beside what the process has before it loads the model."""

    weights: int
    trained: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.trained + self.activations

    def __str__(self) -> str:
        parts = {"base model": self.weights, "adapter with optimiser": self.trained, "activations": self.activations}
        return ", ".join(f"{name} {size / 2**30:.2f}" for name, size in parts.items())


def require_trainable(
    location: str, train: Sequence[TrainingExample], validation: Sequence[TrainingExample], settings: FinetuneSettings
) -> None:
    """Raise :class:`UserError` for what would fail later or train for nothing: an empty split, a quantised base, an
    environment that has accelerate shard the base."""
    for name in _SHARDING:
        if os.environ.get(name, "").lower() in ("1", "true", "yes", "on"):
            raise UserError(
                f"{name} is set, and would have accelerate train in another way than finetune.compute.strategy says:"
                " a base that is sharded (FSDP, ZeRO-3) has not been shown to work with 4-bit weights",
                f"unset {name}; finetune.compute.strategy=deepspeed_zero2 shards gradients and optimiser",
            )
    if not train:
        raise UserError("there is no training row", "raise finetune.max_length or generate more rows")
    if not validation and settings.early_stopping_patience is not None:
        raise UserError(
            "finetune.early_stopping_patience needs validation rows, and there is none",
            "raise generate_qa.splits.validation, or set finetune.early_stopping_patience=null",
        )
    quantized = getattr(AutoConfig.from_pretrained(location), "quantization_config", None)
    if quantized is not None:
        method = quantized.get("quant_method", "some way") if isinstance(quantized, dict) else "some way"
        raise UserError(
            f"the base model is quantised already ({method}), so no adapter can be merged into it",
            "choose the unquantised model: it is loaded in 4 bits by finetune.quantization.load_in_4bit",
        )


def require_memory(location: str, settings: FinetuneSettings, memory: int) -> MemoryEstimate:
    """The estimate, when ``memory`` bytes are enough for it; :class:`UserError` with the settings that fit when not."""
    needed = estimate(location, settings)
    if needed.total <= memory:
        return needed
    fitting = settings
    changes: list[str] = []
    while estimate(location, fitting).total > memory and (lighter := halved(fitting)) is not None:
        changes = [change for change in changes if change.split("=")[0] != lighter[0].split("=")[0]] + [lighter[0]]
        fitting = lighter[1]
    fits = estimate(location, fitting).total <= memory
    remedy = " ".join(changes) + " would fit" if fits else "take workers with more memory, or a smaller base model"
    gib = 2**30
    raise UserError(
        f"training needs about {needed.total / gib:.2f} GiB on each worker ({needed}), which has {memory / gib:.2f}",
        remedy,
    )


def halved(settings: FinetuneSettings) -> tuple[str, FinetuneSettings] | None:
    """The setting that about halves the activations, as ``key=value``, and the settings with it; None at the end."""
    compute = settings.compute
    if compute.per_device_train_batch_size > 1:
        smaller = range(compute.per_device_train_batch_size // 2, 0, -1)
        size = next(n for n in smaller if all(settings.divides(n, workers) for workers in compute.worker_counts))
        lighter = compute.model_copy(update={"per_device_train_batch_size": size})
        change = f"finetune.compute.per_device_train_batch_size={size}"
        return change, settings.model_copy(update={"compute": lighter})
    if not settings.gradient_checkpointing:
        return "finetune.gradient_checkpointing=true", settings.model_copy(update={"gradient_checkpointing": True})
    if settings.max_length >= 2 * _SHORTEST:
        length = settings.max_length // 2
        return f"finetune.max_length={length}", settings.model_copy(update={"max_length": length})
    return None


def estimate(location: str, settings: FinetuneSettings) -> MemoryEstimate:
    """Bytes that training takes on a worker, from the model's shapes alone.

    Frozen weights keep no input for the backward pass, so a layer keeps about ten states as wide as the model and four
    as wide as its feed-forward part; with checkpointing one such layer at a time, and one state of each.
    """
    config = AutoConfig.from_pretrained(location)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    linear = {name: module for name, module in model.model.named_modules() if isinstance(module, torch.nn.Linear)}
    quantized = sum(module.weight.numel() for module in linear.values())
    rest = sum(parameter.numel() for parameter in model.parameters()) - quantized
    adapted = [module for name, module in linear.items() if name.rsplit(".", 1)[-1] in settings.lora.target_modules]
    trained = sum(settings.lora.r * (module.in_features + module.out_features) for module in adapted)
    item = 2 if settings.compute.use_gpu else 4
    tokens = settings.max_length * settings.compute.per_device_train_batch_size
    return MemoryEstimate(
        weights=int(quantized * (_BYTES_4BIT if settings.quantization.load_in_4bit else 4)) + rest * 4,
        trained=trained * _BYTES_TRAINED,
        activations=item * tokens * _kept_states(config, settings, len(adapted)) + _passing(config, linear),
    )


def _kept_states(config: Any, settings: FinetuneSettings, num_adapted: int) -> int:
    """Numbers that are kept of each token until the backward pass."""
    width, layers = config.hidden_size, config.num_hidden_layers
    in_layer = 10 * width + 4 * config.intermediate_size + width * num_adapted // layers
    return layers * width + in_layer if settings.gradient_checkpointing else layers * in_layer


def _passing(config: Any, linear: dict[str, torch.nn.Linear]) -> int:
    """Bytes that come and go: the largest weight unpacked, and the logits of a chunk with their gradient."""
    unpacked = max(module.weight.numel() for module in linear.values()) * 4
    return unpacked + 2 * 4 * 256 * config.vocab_size


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is a GPU's or a CPU's refusal to allocate."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def out_of_memory(settings: FinetuneSettings) -> UserError:
    """The error for a worker that ran out of memory, with the setting that halves what it needs."""
    lighter = halved(settings)
    return UserError(
        "a training worker ran out of memory",
        f"{lighter[0]} about halves its activations" if lighter else "take workers with more memory",
    )

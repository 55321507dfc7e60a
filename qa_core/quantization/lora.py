"""The arithmetic of a LoRA adapter on disk: W + scale * B A (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError
from qa_core.quantization.number_formats import encode, require_finite
from qa_core.quantization.safetensors_files import StoredTensor, read_tensors

_PREFIX = "base_model.model."
_UNSUPPORTED = ("alpha_pattern", "fan_in_fan_out", "layer_replication", "target_parameters", "use_bdlora", "use_qalora")
"""Keys of PEFT's adapter_config.json that change the sum in ways not written here, when they are set."""


@dataclass(frozen=True)
class LoraUpdate:
    """The low-rank change of one weight matrix [out, in]."""

    a: StoredTensor
    """[r, in]"""
    b: StoredTensor
    """[out, r]"""
    scale: float

    def delta(self) -> npt.NDArray[np.float32]:
        return np.float32(self.scale) * (self.b.float32() @ self.a.float32())


def read_updates(adapter: Path) -> dict[str, LoraUpdate]:
    """The change of every adapted weight of a PEFT folder, by the weight's name in the base model."""
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    used = [key for key in _UNSUPPORTED if config.get(key)]
    if config.get("peft_type") != "LORA" or used:
        raise UserError(
            f"the adapter at {adapter} cannot be merged: {', '.join(used) or config.get('peft_type')}",
            "Train a plain LoRA adapter.",
        )
    tensors = {name.removeprefix(_PREFIX): tensor for name, tensor in read_tensors(adapter).items()}
    stems = {name.removesuffix(".lora_A.weight") for name in tensors if name.endswith(".lora_A.weight")}
    if left := sorted(tensors.keys() - {f"{stem}.lora_{part}.weight" for stem in stems for part in "AB"}):
        raise UserError(
            f"the adapter at {adapter} has a tensor that is no LoRA pair: {left[0]}", "Train a plain LoRA adapter."
        )
    root = bool(config.get("use_rslora"))
    return {
        f"{stem}.weight": _update(
            tensors[f"{stem}.lora_A.weight"], tensors[f"{stem}.lora_B.weight"], config["lora_alpha"], root
        )
        for stem in sorted(stems)
    }


def merged_contents(
    tensors: Mapping[str, StoredTensor], updates: Mapping[str, LoraUpdate]
) -> Iterator[bytes | memoryview]:
    """Bytes of every tensor with its update added in float32 and rounded once, to the type of the base weight."""
    for name, tensor in tensors.items():
        if name not in updates:
            raw = tensor.raw()
            require_finite(raw, tensor.dtype, name)
            yield raw.data
            continue
        merged = tensor.float32() + updates[name].delta()
        require_finite(merged.view(np.uint8), "F32", name)
        yield np.ascontiguousarray(encode(merged, tensor.dtype, name)).data.cast("B")


def _update(a: StoredTensor, b: StoredTensor, alpha: float, rank_stabilised: bool) -> LoraUpdate:
    rank = a.shape[0]
    return LoraUpdate(a, b, alpha / (math.sqrt(rank) if rank_stabilised else rank))

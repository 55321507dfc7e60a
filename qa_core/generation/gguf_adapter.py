"""Checks that a GGUF file holds a LoRA adapter for a given model, before llama.cpp reads it.

llama.cpp ends the process over a key of another type. So the keys, and the shapes and types of every pair of matrices,
are held against each other and against the model here. An adapter is small, so its values are looked at too.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type

from qa_core.errors import UserError
from qa_core.floats import is_finite
from qa_core.generation.gguf_cursor import Damaged
from qa_core.generation.gguf_header import GGUFHeader, TensorInfo, damaged, read_header
from qa_core.generation.gguf_model import check_types

_ADAPTER_KEYS = {"adapter.type", "adapter.lora.alpha"}
_PARTS = (".lora_a", ".lora_b")
_TYPES = {Type.F32, Type.F16, Type.BF16}
_LOOKED_UP = "token_embd.weight"
"""Rows are picked from it instead of multiplied with it, so its pair would stand the other way round."""
_REMEDY = "Name an adapter.gguf that was trained on this base model."


def read_adapter_header(path: Path, base: GGUFHeader) -> GGUFHeader:
    """The header of the adapter at ``path``; raises :class:`UserError` unless it can be laid over ``base``."""
    header = read_header(path)
    try:
        _check_kind(header)
        pairs = _pairs(header)
        _check_values(path, header)
    except Damaged as error:
        raise damaged(path, str(error)) from error
    ours, its = (one.metadata.get("general.architecture") for one in (header, base))
    if ours != its:
        raise UserError(f"the adapter {path} is for a model of architecture {ours!r}, and this one is {its!r}", _REMEDY)
    for name, (a, b) in pairs.items():
        wanted = base.tensors.get(name)
        shape = (a.shape[0], b.shape[1])
        if wanted is None or wanted.shape != shape:
            known = "does not have" if wanted is None else f"has as {wanted.shape}"
            raise UserError(f"the adapter {path} changes {name} {shape}, which the model {known}", _REMEDY)
    return header


def _check_kind(header: GGUFHeader) -> None:
    check_types(header)
    for key, wanted in (("general.type", "adapter"), ("adapter.type", "lora")):
        if header.metadata.get(key) != wanted:
            raise Damaged(f"{key} is {header.metadata.get(key)!r} instead of {wanted!r}")
    alpha = header.metadata.get("adapter.lora.alpha")
    if not isinstance(alpha, float) or not math.isfinite(alpha) or alpha == 0:
        raise Damaged(f"adapter.lora.alpha is {alpha!r}")
    if odd := [key for key in header.metadata if key.startswith("adapter.") and key not in _ADAPTER_KEYS]:
        raise Damaged(f"{odd[0]} asks for something that is not known here")


def _pairs(header: GGUFHeader) -> dict[str, tuple[TensorInfo, TensorInfo]]:
    """Both matrices, A [in, rank] and B [rank, out] in GGUF's order, by the name of the tensor that they change."""
    stems = {name.removesuffix(part) for name in header.tensors for part in _PARTS if name.endswith(part)}
    if odd := sorted(header.tensors.keys() ^ {f"{stem}{part}" for stem in stems for part in _PARTS}):
        raise Damaged(f"tensor {odd[0]!r} is one half of a pair, or none")
    if not stems or _LOOKED_UP in stems:
        raise Damaged(f"it changes {_LOOKED_UP}" if stems else "it holds no tensor")
    pairs = {stem: (header.tensors[f"{stem}.lora_a"], header.tensors[f"{stem}.lora_b"]) for stem in sorted(stems)}
    for stem, (a, b) in pairs.items():
        if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[1] != b.shape[0]:
            raise Damaged(f"the pair for {stem!r} has the shapes {a.shape} and {b.shape}")
        if not {a.type, b.type} <= _TYPES:
            raise Damaged(f"the pair for {stem!r} has the types {a.type.name} and {b.type.name}")
    return pairs


def _check_values(path: Path, header: GGUFHeader) -> None:
    data = np.memmap(path, np.uint8, "r")
    for name, tensor in header.tensors.items():
        start = header.data_start + tensor.offset
        if not is_finite(np.asarray(data[start : start + tensor.nbytes]), tensor.type.name):
            raise Damaged(f"tensor {name!r} holds NaN or infinite values")

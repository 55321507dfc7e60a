"""How large a quantised file will be, from config.json alone: before weights are fetched or a night is spent.

llama.cpp gives each tensor a type by its place (llama_tensor_get_type in llama-quant.cpp); these are its rules for the
types that Lectern writes, for models with an importance matrix and without experts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Type

from qa_core.generation.gguf_model import Dimensions
from qa_core.quantization.architectures import Architecture

_ALIGNMENT = 32
_HEADER_BYTES = 2_000
"""Keys and their values without the vocabulary."""
_TENSOR_ENTRY_BYTES = 60
_TOKEN_BYTES = 39
"""Text, type and merge of one token in the header: what the file of Qwen2.5-3B has on average."""
_USUAL = {
    "Q4_K_M": Type.Q4_K, "Q4_K_S": Type.Q4_K, "IQ4_XS": Type.IQ4_XS, "Q5_K_M": Type.Q5_K, "Q6_K": Type.Q6_K,
    "Q8_0": Type.Q8_0,
}  # fmt: skip
_INPUTS = ("attn_q", "attn_output", "ffn_gate", "ffn_down")
"""One layer of each group that has the same input."""
_NARROW = {Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1, Type.Q6_K: Type.Q8_0, Type.IQ4_XS: Type.IQ4_NL}
"""What stands in where the rows are no multiple of 256."""


def predicted_bytes(config: Mapping[str, Any], quantization: str) -> int:
    """Bytes of the GGUF file of the model with this config.json."""
    dimensions = Architecture.of(config).dimensions
    shapes = dict(dimensions.shapes())
    data = sum(_nbytes(tensor_type(name, shape, dimensions, quantization), shape) for name, shape in shapes.items())
    return _HEADER_BYTES + len(shapes) * _TENSOR_ENTRY_BYTES + dimensions.vocabulary * _TOKEN_BYTES + data


def moments_bytes(config: Mapping[str, Any], full_up_to: int) -> int:
    """Bytes of the file of :class:`~qa_core.quantization.moments.InputMoments`, as ``collect`` gathers them."""
    shapes = dict(Architecture.of(config).dimensions.shapes())
    inputs = [shape[0] for name, shape in shapes.items() if len(shape) == 2 and name.split(".")[-2] in _INPUTS]
    return 4 * sum(width**2 if width <= full_up_to else width for width in inputs)


def tensor_type(name: str, shape: tuple[int, ...], dimensions: Dimensions, quantization: str) -> Type:
    """The type that llama.cpp gives the tensor ``name``."""
    if len(shape) == 1:
        return Type.F32
    if name == "output.weight" or (name == "token_embd.weight" and dimensions.tied):
        return Type.Q6_K if _USUAL[quantization] != Type.Q8_0 and shape[0] % 256 == 0 else Type.Q8_0
    kind = _USUAL[quantization]
    part = name.split(".")[-2]
    if part in ("attn_v", "ffn_down"):
        kind = _of_sensitive(part, int(name.split(".")[1]), dimensions, quantization)
    return _NARROW.get(kind, kind) if shape[0] % 256 else kind


def _of_sensitive(part: str, layer: int, dimensions: Dimensions, quantization: str) -> Type:
    """Values and the way out of the feed-forward part get more bits in some layers."""
    eighth = dimensions.layers // 8
    if quantization in ("Q4_K_M", "Q5_K_M"):
        more = layer < eighth or layer >= 7 * dimensions.layers // 8 or (layer - eighth) % 3 == 2
        return Type.Q6_K if more else _USUAL[quantization]
    if quantization == "Q4_K_S":
        return Type.Q5_K if layer < (4 if part == "attn_v" else eighth) else Type.Q4_K
    if quantization == "IQ4_XS" and part == "attn_v" and dimensions.heads // dimensions.kv_heads >= 4:
        return Type.Q5_K
    return _USUAL[quantization]


def _nbytes(kind: Type, shape: tuple[int, ...]) -> int:
    block, block_bytes = GGML_QUANT_SIZES[kind]
    nbytes = math.prod(shape) // block * block_bytes
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT

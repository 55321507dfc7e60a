"""Checks that a GGUF header describes a model that llama.cpp can build, before llama.cpp tries.

A number of heads that is zero, a layer that is missing or two tokens of one text end the process inside the library
instead of raising. So the hyperparameters, the vocabulary and the shape and type of every tensor must fit each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType, LlamaFileType

from qa_core.errors import UserError
from qa_core.generation.gguf_cursor import Damaged, GGUFArray
from qa_core.generation.gguf_header import GGUFHeader, TensorInfo, damaged, read_header

ARCHITECTURES = ("qwen2", "qwen3", "llama")
_MOST_LAYERS = 512
_MOST_WIDTH = 1 << 20
_WIDE_ROWS = {Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.IQ4_XS, Type.Q8_0, Type.F16, Type.BF16, Type.F32}
_NARROW_ROWS = {Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.IQ4_NL, Type.F16, Type.BF16, Type.F32}
"""What llama.cpp takes instead where a row is no multiple of 256."""
_PLAIN = {
    LlamaFileType.ALL_F32: {Type.F32},
    LlamaFileType.MOSTLY_F16: {Type.F16},
    LlamaFileType.MOSTLY_BF16: {Type.BF16},
    LlamaFileType.MOSTLY_Q8_0: {Type.Q8_0, Type.F16},
}
"""Types of matrices in a file of one type."""
_VOCABULARY = {
    "tokenizer.ggml.tokens": GGUFValueType.STRING,
    "tokenizer.ggml.token_type": GGUFValueType.INT32,
    "tokenizer.ggml.merges": GGUFValueType.STRING,
}
_TYPES = (
    (re.compile(r"(qwen2|qwen3|llama)\..*(epsilon|freq_base)|general\.sampling\.temp|adapter\.lora\.alpha"),
     GGUFValueType.FLOAT32),
    (re.compile(r"(qwen2|qwen3|llama)\..*|general\.(quantization_version|file_type|alignment|base_model\.count)"
                r"|tokenizer\.ggml\.\w+_token_id|quantize\.imatrix\.\w+_count"), GGUFValueType.UINT32),
    (re.compile(r"tokenizer\.ggml\.add_\w+"), GGUFValueType.BOOL),
    (re.compile(r"tokenizer\.ggml\.(tokens|token_type|merges)"), GGUFValueType.ARRAY),
    (re.compile(r"general\.(architecture|type|name|basename|finetune|version|size_label|license|base_model\.\d+\.\w+)"
                r"|tokenizer\.(chat_template|ggml\.(model|pre))|quantize\.imatrix\.file|adapter\.type"),
     GGUFValueType.STRING),
)  # fmt: skip
"""Types of values by key; the first pattern that fits counts, and any other key may have any type."""


@dataclass(frozen=True)
class Dimensions:
    """The shape of a model of one of the families."""

    architecture: str
    vocabulary: int
    wide: int
    """Channels between the layers."""
    inner: int
    """Channels inside a feed-forward part."""
    heads: int
    kv_heads: int
    head: int
    """Channels of one head."""
    layers: int
    tied: bool
    """The output matrix is the embedding."""

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape, fastest dimension first, of every tensor."""
        yield "token_embd.weight", (self.wide, self.vocabulary)
        yield "output_norm.weight", (self.wide,)
        if not self.tied:
            yield "output.weight", (self.wide, self.vocabulary)
        for layer in range(self.layers):
            yield from ((f"blk.{layer}.{name}", shape) for name, shape in self._layer().items())

    def _layer(self) -> dict[str, tuple[int, ...]]:
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        rows = {"attn_q": queries, "attn_k": keys, "attn_v": keys, "ffn_gate": self.inner, "ffn_up": self.inner}
        shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (self.wide, count) for name, count in rows.items()}
        shapes |= {"attn_output.weight": (queries, self.wide), "ffn_down.weight": (self.inner, self.wide)}
        shapes |= {"attn_norm.weight": (self.wide,), "ffn_norm.weight": (self.wide,)}
        if self.architecture == "qwen2":
            shapes |= {f"{name}.bias": (rows[name],) for name in ("attn_q", "attn_k", "attn_v")}
        if self.architecture == "qwen3":
            shapes |= {"attn_q_norm.weight": (self.head,), "attn_k_norm.weight": (self.head,)}
        return shapes


def read_model_header(path: Path) -> GGUFHeader:
    """The header of the model at ``path``; raises :class:`UserError` unless llama.cpp can safely be given the file."""
    header = read_header(path)
    architecture = header.metadata.get("general.architecture")
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"model file {path} has the architecture {architecture!r}", f"Known are {', '.join(ARCHITECTURES)}."
        )
    try:
        check_types(header)
        _check_vocabulary(header)
        _check_numbers(header, str(architecture))
        _check_tensors(header, dict(_dimensions(header, str(architecture)).shapes()))
    except Damaged as error:
        raise damaged(path, str(error)) from error
    return header


def check_types(header: GGUFHeader) -> None:
    """Raises :class:`Damaged` for a value of another type than llama.cpp asserts it to be."""
    for key, found in header.types.items():
        wanted = next((kind for pattern, kind in _TYPES if pattern.fullmatch(key)), None)
        if wanted is not None and found != wanted:
            raise Damaged(f"{key} is a {found.name} instead of a {wanted.name}")


def _check_vocabulary(header: GGUFHeader) -> None:
    for key, kind in _VOCABULARY.items():
        array = header.metadata.get(key)
        if not isinstance(array, GGUFArray) or array.type != kind:
            raise Damaged(f"{key} is {array!r} instead of a list of {kind.name}")
    size = _num_tokens(header)
    if doubled := size - header.metadata["tokenizer.ggml.tokens"].distinct:
        raise Damaged(f"{doubled} of {size} tokens have the text of another")
    if header.metadata["tokenizer.ggml.token_type"].length != size:
        raise Damaged(f"there are {header.metadata['tokenizer.ggml.token_type'].length} types of {size} tokens")
    if header.metadata.get("tokenizer.ggml.model") != "gpt2":
        raise Damaged(f"tokenizer.ggml.model is {header.metadata.get('tokenizer.ggml.model')!r} instead of 'gpt2'")
    for key, token in header.metadata.items():
        if key.endswith("_token_id") and (type(token) is not int or not 0 <= token < size):
            raise Damaged(f"{key} is {token!r}, and there are {size} tokens")


def _num_tokens(header: GGUFHeader) -> int:
    return int(header.metadata["tokenizer.ggml.tokens"].length)


def _dimensions(header: GGUFHeader, architecture: str) -> Dimensions:
    """What the hyperparameters say, if they can be true together."""
    wide, inner = (_size(header, f"{architecture}.{key}_length", _MOST_WIDTH) for key in ("embedding", "feed_forward"))
    heads, kv_heads = (
        _size(header, f"{architecture}.attention.{key}", 4096) for key in ("head_count", "head_count_kv")
    )
    key = f"{architecture}.attention.key_length"
    if heads % kv_heads or (wide % heads and key not in header.metadata):
        raise Damaged(f"{heads} heads and {kv_heads} of keys share {wide} channels")
    _size(header, f"{architecture}.context_length", 1 << 31)
    return Dimensions(
        architecture,
        vocabulary=_num_tokens(header),
        wide=wide,
        inner=inner,
        heads=heads,
        kv_heads=kv_heads,
        head=_size(header, key, _MOST_WIDTH) if key in header.metadata else wide // heads,
        layers=_size(header, f"{architecture}.block_count", _MOST_LAYERS),
        tied="output.weight" not in header.tensors,
    )


def _size(header: GGUFHeader, key: str, most: int) -> int:
    value = header.metadata.get(key)
    if type(value) is not int or not 1 <= value <= most:
        raise Damaged(f"{key} is {value!r}")
    return value


def _check_numbers(header: GGUFHeader, architecture: str) -> None:
    for key, most in (("attention.layer_norm_rms_epsilon", 1.0), ("rope.freq_base", 1e12)):
        value = header.metadata.get(f"{architecture}.{key}")
        if not isinstance(value, float) or not math.isfinite(value) or not 0 < value <= most:
            raise Damaged(f"{architecture}.{key} is {value!r}")


def _check_tensors(header: GGUFHeader, shapes: dict[str, tuple[int, ...]]) -> None:
    if odd := sorted(shapes.keys() ^ header.tensors.keys()):
        raise Damaged(f"tensor {odd[0]!r} is {'missing' if odd[0] in shapes else 'unknown'}")
    file_type = _file_type(header.metadata.get("general.file_type"))
    for name, tensor in header.tensors.items():
        if tensor.shape != shapes[name]:
            raise Damaged(f"tensor {name!r} has the shape {tensor.shape} instead of {shapes[name]}")
        if tensor.type not in _allowed(tensor, file_type):
            raise Damaged(f"tensor {name!r} has the type {tensor.type.name} in a file of type {file_type.name}")


def _file_type(value: Any) -> LlamaFileType:
    if type(value) is not int or value not in set(LlamaFileType):
        raise Damaged(f"general.file_type is {value!r}")
    return LlamaFileType(value)


def _allowed(tensor: TensorInfo, file_type: LlamaFileType) -> set[Type]:
    if len(tensor.shape) == 1:
        return {Type.F32}
    return _PLAIN.get(file_type, _NARROW_ROWS if tensor.shape[0] % 256 else _WIDE_ROWS)

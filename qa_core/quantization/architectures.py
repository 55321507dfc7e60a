"""Hyperparameters of the model families that Lectern converts: config.json of Hugging Face -> GGUF keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gguf
import numpy.typing as npt

from qa_core.errors import UserError
from qa_core.generation.gguf_model import Dimensions

_ARCHITECTURES = {
    "Qwen2ForCausalLM": gguf.MODEL_ARCH.QWEN2,
    "Qwen3ForCausalLM": gguf.MODEL_ARCH.QWEN3,
    "LlamaForCausalLM": gguf.MODEL_ARCH.LLAMA,
}
_ROTATED = re.compile(r"\.([qk])_proj\.(weight|bias)$")
_DERIVED = ("rotary_emb.inv_freq",)
"""Tensors of old checkpoints that follow from the hyperparameters."""


@dataclass(frozen=True)
class Architecture:
    """One model's family and shape."""

    config: Mapping[str, Any]
    """config.json"""
    arch: gguf.MODEL_ARCH

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Architecture:
        """Raises :class:`UserError` for a family, a rope scaling or an attention that the converter does not know."""
        name = (config.get("architectures") or ["none"])[0]
        if name not in _ARCHITECTURES:
            raise UserError(f"architecture {name} cannot be converted", f"Known are {', '.join(_ARCHITECTURES)}.")
        rope_type = _rope(config).get("rope_type") or _rope(config).get("type") or "default"
        if rope_type != "default":
            raise UserError(f"rope scaling {rope_type!r} cannot be converted", "Use a model without rope scaling.")
        if config.get("use_sliding_window"):
            raise UserError("sliding-window attention cannot be converted", "Set use_sliding_window to false.")
        return cls(config, _ARCHITECTURES[name])

    @property
    def num_layers(self) -> int:
        return int(self.config["num_hidden_layers"])

    @property
    def num_heads(self) -> int:
        return int(self.config["num_attention_heads"])

    @property
    def num_kv_heads(self) -> int:
        return int(self.config.get("num_key_value_heads") or self.num_heads)

    @property
    def head_dim(self) -> int:
        return int(self.config.get("head_dim") or self.config["hidden_size"] // self.num_heads)

    @property
    def tied(self) -> bool:
        """The output matrix is the embedding matrix."""
        return bool(self.config.get("tie_word_embeddings"))

    @property
    def dimensions(self) -> Dimensions:
        return Dimensions(
            gguf.MODEL_ARCH_NAMES[self.arch],
            vocabulary=int(self.config["vocab_size"]),
            wide=int(self.config["hidden_size"]),
            inner=int(self.config["intermediate_size"]),
            heads=self.num_heads,
            kv_heads=self.num_kv_heads,
            head=self.head_dim,
            layers=self.num_layers,
            tied=self.tied,
        )

    def add_hyperparameters(self, writer: gguf.GGUFWriter) -> None:
        """Write the keys that llama.cpp builds the network from."""
        config = self.config
        writer.add_block_count(self.num_layers)
        writer.add_context_length(config["max_position_embeddings"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(self.num_heads)
        writer.add_head_count_kv(self.num_kv_heads)
        writer.add_rope_freq_base(float(config.get("rope_theta") or _rope(config).get("rope_theta") or 10_000.0))
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        if config.get("head_dim"):  # otherwise the heads divide the hidden size
            writer.add_key_length(self.head_dim)
            writer.add_value_length(self.head_dim)
        if self.arch == gguf.MODEL_ARCH.LLAMA:
            writer.add_rope_dimension_count(self.head_dim)
            writer.add_vocab_size(config["vocab_size"])

    def gguf_names(self, names: list[str]) -> dict[str, str]:
        """GGUF's name of every tensor that is written, in natural order of Hugging Face's names."""
        table = gguf.get_tensor_name_map(self.arch, self.num_layers)
        result = {}
        for name in sorted(names, key=_natural):
            if (name == "lm_head.weight" and self.tied) or name.endswith(_DERIVED):
                continue
            known = table.get_name(name, try_suffixes=(".weight", ".bias"))
            if known is None:
                raise UserError(
                    f"tensor {name} has no place in a {self.arch.name} model", "Convert the plain architecture."
                )
            result[name] = known
        return result

    def arrange(self, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Rows of Llama's q and k in the order of llama.cpp's rope, which rotates neighbours instead of halves."""
        rotated = _ROTATED.search(name)
        if self.arch != gguf.MODEL_ARCH.LLAMA or not rotated:
            return values
        heads = self.num_heads if rotated[1] == "q" else self.num_kv_heads
        halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
        return halves.swapaxes(1, 2).reshape(values.shape)


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rope settings under the name of transformers 5, or of those before it."""
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]

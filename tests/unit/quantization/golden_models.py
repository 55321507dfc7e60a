"""Small models of every family, the same to the bit wherever they are made: what a converter writes can be recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FAMILIES = ("qwen2", "qwen3", "llama")
VOCAB_SIZE = 288
"""Rows of the embedding: 256 bytes, seven merges, five added tokens, and rows that no token has."""

_HEAD_DIM = 16
_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "vocab_size": VOCAB_SIZE,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "rope_parameters": {"rope_theta": 1_000_000.0, "rope_type": "default"},
}
_SPLIT = {
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
    "llama": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
}
_MERGES = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("e", "r"), ("o", "n"), ("Ġ", "a")]
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_model(family: str, out: Path, dtype: str = "BF16") -> Path:
    """A Hugging Face folder: ``qwen2`` is tied and has biases, ``qwen3`` norms its heads, ``llama`` is untied."""
    out.mkdir(parents=True)
    architecture = {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"}[family]
    config: dict[str, Any] = {
        "architectures": [architecture], "model_type": family, "tie_word_embeddings": family == "qwen2",
        "eos_token_id": 265, "bos_token_id": 263, "dtype": "bfloat16", **_SHAPE,
    }  # fmt: skip
    if family != "qwen2":
        config["head_dim"] = _HEAD_DIM
    _write(out / "config.json", config)
    _write(out / "generation_config.json", {"eos_token_id": [265, 263], "pad_token_id": 263})
    _write(out / "tokenizer.json", _tokenizer(family))
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": False, **special}
    _write(out / "tokenizer_config.json", settings)
    (out / "chat_template.jinja").write_text(_TEMPLATE, encoding="utf-8")
    _write_tensors(out / "model.safetensors", _tensors(family), dtype)
    return out


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _tokenizer(family: str) -> dict[str, Any]:
    """Byte-level BPE with a few merges."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that stand for themselves in GPT-2's alphabet
    hidden = [byte for byte in range(256) if byte not in shown]
    characters = [chr(byte) for byte in shown] + [chr(256 + place) for place in range(len(hidden))]
    vocabulary = {text: number for number, text in enumerate([*characters, *("".join(pair) for pair in _MERGES)])}
    added = [
        ("<|endoftext|>", True),
        ("<|im_start|>", True),
        ("<|im_end|>", True),
        ("<tool_call>", False),
        ("</tool_call>", False),
    ]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    split = {"type": "Split", "pattern": {"Regex": _SPLIT.get(family, _SPLIT["qwen2"])}, "behavior": "Isolated",
             "invert": False}  # fmt: skip
    bytes_alone = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": 263 + place, "content": text, "special": special, **flags}
            for place, (text, special) in enumerate(added)
        ],
        "normalizer": None if family == "llama" else {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes_alone]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "fuse_unk": False,
            "end_of_word_suffix": "", "byte_fallback": False, "vocab": vocabulary, "merges": _MERGES,
        },
    }  # fmt: skip


def _tensors(family: str) -> dict[str, tuple[int, ...]]:
    """Shape by name."""
    wide, inner, keys = _SHAPE["hidden_size"], _SHAPE["intermediate_size"], 2 * _HEAD_DIM
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCAB_SIZE, wide), "model.norm.weight": (wide,)}
    for layer in range(_SHAPE["num_hidden_layers"]):
        rows = {"q_proj": wide, "k_proj": keys, "v_proj": keys}
        part = {f"self_attn.{name}.weight": (count, wide) for name, count in rows.items()}
        part |= {"self_attn.o_proj.weight": (wide, wide), "mlp.down_proj.weight": (wide, inner)}
        part |= {f"mlp.{name}_proj.weight": (inner, wide) for name in ("gate", "up")}
        part |= {f"{name}_layernorm.weight": (wide,) for name in ("input", "post_attention")}
        if family == "qwen2":
            part |= {f"self_attn.{name}.bias": (count,) for name, count in rows.items()}
        if family == "qwen3":
            part |= {f"self_attn.{name}_norm.weight": (_HEAD_DIM,) for name in "qk"}
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in part.items()}
    return shapes if family == "qwen2" else shapes | {"lm_head.weight": (VOCAB_SIZE, wide)}


def _write_tensors(file: Path, shapes: dict[str, tuple[int, ...]], dtype: str) -> None:
    draw, header, parts, offset = np.random.Generator(np.random.PCG64(5)), {}, [], 0
    for name, shape in shapes.items():
        # Sums of small integers: no function whose last bit could differ between two machines.
        values = (draw.integers(-128, 128, (4, *shape)).sum(0) / 1024).astype(np.float32)
        raw = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes() if dtype == "BF16" else values.tobytes()
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset := offset + len(raw)]}
        parts.append(raw)
    encoded = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write_bytes(len(encoded).to_bytes(8, "little") + encoded + b"".join(parts))

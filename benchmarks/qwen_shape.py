"""Models in the shape of Qwen2.5's with random weights: what conversion and decoding cost depends on nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qa_core.quantization.architectures import Architecture

VOCABULARY = 151_936


def _config(
    hidden_size: int, intermediate_size: int, num_hidden_layers: int, num_attention_heads: int
) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": hidden_size,
        "intermediate_size": intermediate_size, "num_hidden_layers": num_hidden_layers,
        "num_attention_heads": num_attention_heads, "num_key_value_heads": 2, "vocab_size": VOCABULARY,
        "tie_word_embeddings": True, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0,
        "hidden_act": "silu", "eos_token_id": 257, "dtype": "bfloat16",
    }  # fmt: skip


QWEN_3B = _config(2048, 11008, 36, 16)
QWEN_500M = _config(896, 4864, 24, 14)
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CHAT_TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
_NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
_SHARD_BYTES = 4 << 30
_BLOCK = 1 << 24


def make_qwen(out: Path, config: dict[str, Any]) -> Path:
    """A Hugging Face folder in bfloat16, 6.2 GB for 3B, shards of 4 GiB at most; its tokenizer has bytes, one merge."""
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    _write_tokenizer(out)
    shapes = {_hugging_face(name): shape[::-1] for name, shape in Architecture.of(config).dimensions.shapes()}
    shard: dict[str, tuple[int, ...]] = {}
    size = number = 0
    for name, shape in shapes.items():
        nbytes = 2 * int(np.prod(shape))
        if size + nbytes > _SHARD_BYTES:
            _write_shard(out / f"model-{number:05}.safetensors", shard, number)
            shard, size, number = {}, 0, number + 1
        shard[name], size = shape, size + nbytes
    _write_shard(out / f"model-{number:05}.safetensors", shard, number)
    return out


def make_adapter(out: Path, rank: int = 16) -> Path:
    """A PEFT folder for the 3B model that changes every query and value matrix, with random weights."""
    out.mkdir(parents=True)
    shapes = {}
    for layer in range(QWEN_3B["num_hidden_layers"]):
        for part, rows in (("q_proj", 2048), ("v_proj", 256)):
            stem = f"base_model.model.model.layers.{layer}.self_attn.{part}"
            shapes |= {f"{stem}.lora_A.weight": (rank, 2048), f"{stem}.lora_B.weight": (rows, rank)}
    _write_shard(out / "adapter_model.safetensors", shapes, seed=7)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank}
    (out / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return out


def _hugging_face(name: str) -> str:
    *layer, part, kind = name.split(".")
    return f"model.layers.{layer[1]}.{_NAMES[part]}.{kind}" if layer else f"{_NAMES[part]}.{kind}"


def _write_shard(file: Path, shapes: dict[str, tuple[int, ...]], seed: int) -> None:
    header, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    values = (np.random.default_rng(seed).standard_normal(_BLOCK) * 0.02).astype(np.float32)
    block = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    with file.open("wb") as stream:
        stream.write(len(encoded).to_bytes(8, "little") + encoded)
        for start in range(0, offset, len(block)):
            stream.write(block[: offset - start])


def _write_tokenizer(out: Path) -> None:
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = len([byte for byte in range(256) if byte not in shown])
    characters = [chr(byte) for byte in shown] + [chr(256 + place) for place in range(hidden)]
    vocabulary = {text: number for number, text in enumerate([*characters, "th"])}
    tokenizer = {
        "added_tokens": [{"id": 257, "content": "<|im_end|>", "special": True}],
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": _SPLIT}},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": ["t h"]},
    }
    (out / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    settings = {"eos_token": "<|im_end|>", "add_bos_token": False, "chat_template": _CHAT_TEMPLATE}
    (out / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")

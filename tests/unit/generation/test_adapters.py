"""An adapter's file is held against the model that it shall lie over before llama.cpp reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from qa_core.errors import UserError
from qa_core.generation.gguf_adapter import read_adapter_header
from qa_core.generation.gguf_header import GGUFHeader
from qa_core.generation.gguf_model import read_model_header
from tests.unit.generation.test_damaged_models import PLACES, damage

QUERY, DOWN = "blk.1.attn_q.weight", "blk.0.ffn_down.weight"


@pytest.fixture(scope="module")
def base(small_gguf: Path) -> GGUFHeader:
    return read_model_header(small_gguf)


def write_adapter(path: Path, pairs: Mapping[str, tuple[int, int, int]], **metadata: Any) -> Path:
    """An adapter with matrices of the given widths: in, rank, out. ``metadata`` has keys with ``__`` for a dot."""
    values = {
        "general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 4.0,
        **{key.replace("__", "."): value for key, value in metadata.items()},
    }  # fmt: skip
    writer = gguf.GGUFWriter(path, str(values.pop("general.architecture", "qwen2")))
    for key, value in values.items():
        (writer.add_float32 if isinstance(value, float) else writer.add_string)(key, value)
    draw = np.random.default_rng(3)
    for name, (wide, rank, out) in pairs.items():
        writer.add_tensor(f"{name}.lora_a", draw.normal(size=(rank, wide)).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", draw.normal(size=(out, rank)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


PAIRS = {QUERY: (64, 4, 64), DOWN: (96, 2, 64)}


def test_an_adapter_that_fits_is_taken(base: GGUFHeader, tmp_path: Path) -> None:
    assert len(read_adapter_header(write_adapter(tmp_path / "a.gguf", PAIRS), base).tensors) == 4


@pytest.mark.parametrize(
    ("pairs", "metadata", "message"),
    [
        ({QUERY: (32, 4, 64)}, {}, r"changes blk.1.attn_q.weight \(32, 64\), which the model has as \(64, 64\)"),
        ({QUERY: (64, 4, 32)}, {}, r"changes blk.1.attn_q.weight \(64, 32\)"),
        ({"blk.2.attn_q.weight": (64, 4, 64)}, {}, "blk.2.attn_q.weight .* the model does not have"),
        ({"blk.1.attn_norm.weight": (1, 1, 64)}, {}, r"the model has as \(64,\)"),
        ({"token_embd.weight": (64, 4, 288)}, {}, "it changes token_embd.weight"),
        ({}, {}, "holds no tensor"),
        (PAIRS, {"general__architecture": "qwen3"}, "for a model of architecture 'qwen3', and this one is 'qwen2'"),
        (PAIRS, {"general__type": "model"}, "general.type is 'model' instead of 'adapter'"),
        (PAIRS, {"adapter__type": "control"}, "adapter.type is 'control'"),
        (PAIRS, {"adapter__lora__alpha": float("nan")}, "adapter.lora.alpha is nan"),
        (PAIRS, {"adapter__lora__alpha": 0.0}, "adapter.lora.alpha is 0"),
        (PAIRS, {"adapter__lora__alpha": "4"}, "adapter.lora.alpha is a STRING instead of a FLOAT32"),
        (PAIRS, {"adapter__alora__invocation_tokens": "5"}, "adapter.alora.invocation_tokens"),
    ],
)
def test_an_adapter_for_another_model_is_refused_with_what_does_not_fit(
    base: GGUFHeader, tmp_path: Path, pairs: Mapping[str, tuple[int, int, int]], metadata: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_adapter_header(write_adapter(tmp_path / "a.gguf", pairs, **metadata), base)


def test_half_a_pair_and_ranks_that_differ_are_refused(base: GGUFHeader, tmp_path: Path) -> None:
    for name, odd, message in (
        ("half.gguf", {"x.lora_a": (4, 64)}, "'x.lora_b' is one half of a pair"),
        ("norm.gguf", {"blk.0.attn_norm.weight": (64,)}, "is one half of a pair, or none"),
        ("ranks.gguf", {f"{QUERY}.lora_a": (4, 64), f"{QUERY}.lora_b": (64, 2)}, "has the shapes"),
    ):
        writer = gguf.GGUFWriter(tmp_path / name, "qwen2")
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 4.0)
        for tensor, shape in odd.items():
            writer.add_tensor(tensor, np.ones(shape, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        with pytest.raises(UserError, match=message):
            read_adapter_header(tmp_path / name, base)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_values_that_are_no_finite_numbers_are_refused(base: GGUFHeader, tmp_path: Path, value: float) -> None:
    data = bytearray(write_adapter(tmp_path / "a.gguf", PAIRS).read_bytes())
    data[-4:] = np.float32(value).tobytes()
    (tmp_path / "a.gguf").write_bytes(data)
    with pytest.raises(UserError, match=f"tensor '{DOWN}.lora_b' holds NaN or infinite values"):
        read_adapter_header(tmp_path / "a.gguf", base)


def test_a_damaged_adapter_is_refused_at_once(small_gguf: Path, tmp_path: Path) -> None:
    figures = damage("fields", write_adapter(tmp_path / "a.gguf", PAIRS), tmp_path, small_gguf)
    assert figures["refused"] == PLACES
    assert figures["slowest_ms"] < 100


def test_whatever_byte_of_an_adapters_header_is_damaged_the_process_lives_on(
    small_gguf: Path,
    tmp_path: Path,
) -> None:
    figures = damage("anywhere", write_adapter(tmp_path / "a.gguf", PAIRS), tmp_path, small_gguf)
    assert figures["refused"] > PLACES / 2
    assert figures["refused"] + figures["taken"] == PLACES

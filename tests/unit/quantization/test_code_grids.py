from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from qa_core.quantization.code_grids import CodeGrid, write_codes
from qa_core.quantization.convert import write_gguf
from qa_core.quantization.quantize import quantize
from tests.unit.quantization.golden_models import make_model

WIDE = {"Q4_K": "Q4_K_S", "Q5_K": "Q5_K_M", "IQ4_XS": "IQ4_XS"}
NARROW = {"Q5_0": "Q4_K_S", "Q5_1": "Q5_K_M", "IQ4_NL": "IQ4_XS"}
"""What llama.cpp takes where rows are no multiple of 256."""
NAME = "blk.0.attn_q.weight"


def tensor_of(path: Path, mode: str = "r") -> gguf.ReaderTensor:
    return next(tensor for tensor in gguf.GGUFReader(path, mode).tensors if tensor.name == NAME)


@pytest.fixture(params=[*WIDE, *NARROW])
def quantized(request: pytest.FixtureRequest, tiny_gguf: Path, tmp_path: Path) -> Path:
    f16 = tiny_gguf
    if request.param in NARROW:
        f16 = tmp_path / "f16.gguf"
        write_gguf(make_model("qwen2", tmp_path / "model"), f16)
    quantize(f16, tmp_path / "out.gguf", (WIDE | NARROW)[request.param], None, n_threads=1)
    assert tensor_of(tmp_path / "out.gguf").tensor_type.name == request.param
    return tmp_path / "out.gguf"


def test_every_weight_lies_on_its_grid(quantized: Path) -> None:
    tensor = tensor_of(quantized)
    grid = CodeGrid.of(tensor)
    values = gguf.dequantize(tensor.data, tensor.tensor_type)
    possible = grid.offset[..., None] + grid.step[..., None] * grid.levels
    np.testing.assert_allclose(np.abs(possible - values[..., None]).min(axis=-1), 0, atol=1e-6)


def test_codes_that_are_written_are_the_values_that_llama_cpps_format_reads(quantized: Path) -> None:
    before = tensor_of(quantized)
    kept = gguf.dequantize(before.data, before.tensor_type)
    grid = CodeGrid.of(before)
    codes = np.random.default_rng(0).integers(0, len(grid.levels), kept.shape, dtype=np.uint8)
    rows = np.arange(len(kept)) % 3 > 0
    write_codes(tensor_of(quantized, "r+"), codes, rows)
    after = tensor_of(quantized)
    values = gguf.dequantize(after.data, after.tensor_type)
    np.testing.assert_allclose(values[rows], (grid.offset + grid.step * grid.levels[codes])[rows], atol=1e-6)
    np.testing.assert_array_equal(values[~rows], kept[~rows])


def test_types_with_more_bits_have_no_grid(tiny_gguf: Path, tmp_path: Path) -> None:
    quantize(tiny_gguf, tmp_path / "out.gguf", "Q6_K", None, n_threads=1)
    assert CodeGrid.of(tensor_of(tmp_path / "out.gguf")) is None

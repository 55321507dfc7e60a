from __future__ import annotations

import json
from pathlib import Path

import pytest

from qa_core.config import ConvertSettings
from qa_core.generation.gguf_model import read_model_header
from qa_core.quantization.architectures import Architecture
from qa_core.quantization.convert import write_gguf
from qa_core.quantization.moments import collect
from qa_core.quantization.quantize import quantize
from qa_core.quantization.sizes import predicted_bytes, tensor_type
from tests.unit.quantization.golden_models import make_model

QUANTIZATIONS = ConvertSettings.model_fields["quantization"].annotation.__args__
QWEN_3B = {
    "architectures": ["Qwen2ForCausalLM"], "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36,
    "num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip


def test_qwen_3b_is_predicted_within_a_percent() -> None:
    measured = 1_927_395_488  # Q4_K_M of random weights in this shape, with Qwen's vocabulary
    assert predicted_bytes(QWEN_3B, "Q4_K_M") == pytest.approx(measured, rel=0.01)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_llama_cpp_chooses_the_types_that_were_predicted(
    quantization: str, tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    matrix = collect(tiny_model, token_rows[:2]).importance
    quantize(tiny_gguf, tmp_path / "out.gguf", quantization, matrix, n_threads=1)
    config = json.loads((tiny_model / "config.json").read_text())
    assert predicted_tensors(config, quantization) == tensors_in(tmp_path / "out.gguf")
    # The vocabulary of so small a model weighs more in its header than Qwen's.
    assert predicted_bytes(config, quantization) == pytest.approx((tmp_path / "out.gguf").stat().st_size, rel=0.02)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_narrow_rows_get_the_types_that_were_predicted(family: str, quantization: str, tmp_path: Path) -> None:
    model = make_model(family, tmp_path / "model")
    write_gguf(model, tmp_path / "f16.gguf")
    quantize(tmp_path / "f16.gguf", tmp_path / "out.gguf", quantization, None, n_threads=1)
    config = json.loads((model / "config.json").read_text())
    assert predicted_tensors(config, quantization) == tensors_in(tmp_path / "out.gguf")


Tensors = dict[str, tuple[tuple[int, ...], str]]
"""Shape and type by name."""


def predicted_tensors(config: dict, quantization: str) -> Tensors:
    dimensions = Architecture.of(config).dimensions
    return {
        name: (shape, tensor_type(name, shape, dimensions, quantization).name) for name, shape in dimensions.shapes()
    }


def tensors_in(file: Path) -> Tensors:
    return {name: (tensor.shape, tensor.type.name) for name, tensor in read_model_header(file).tensors.items()}

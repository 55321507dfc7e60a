from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from qa_core.errors import UserError
from qa_core.quantization.imatrix import ImportanceMatrix, collect


def equal(a: ImportanceMatrix, b: ImportanceMatrix) -> bool:
    same = all(np.array_equal(a.sums[name], b.sums[name]) for name in a.sums)
    return (
        same and a.sums.keys() == b.sums.keys() and (a.counts, a.num_rows, a.length) == (b.counts, b.num_rows, b.length)
    )


def test_the_sums_are_those_of_the_layers_inputs(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    row = list(range(20, 60))
    matrix = collect(tiny_model, [row])
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.inference_mode():
        hidden = model.model.embed_tokens(torch.tensor([row]))
        expected = model.model.layers[0].input_layernorm(hidden).double().square().sum((0, 1))
    np.testing.assert_allclose(matrix.sums["blk.0.attn_k.weight"], expected, rtol=1e-5)
    assert matrix.counts["blk.0.attn_k.weight"] == 40
    assert set(matrix.sums) == {
        f"blk.{layer}.{part}.weight"
        for layer in (0, 1)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    }


def test_parts_merge_to_exactly_the_whole(tiny_model: Path, token_rows: list[list[int]]) -> None:
    whole = collect(tiny_model, token_rows)
    first, second, third = (collect(tiny_model, token_rows[part]) for part in (slice(0, 3), slice(3, 4), slice(4, 8)))
    assert equal(first.merge(second).merge(third), whole)
    assert equal(third.merge(first.merge(second)), whole)


def test_a_saved_matrix_is_read_back(tiny_model: Path, token_rows: list[list[int]], tmp_path: Path) -> None:
    matrix = collect(tiny_model, token_rows[:2])
    matrix.save(tmp_path / "a.gguf")
    loaded = ImportanceMatrix.load(tmp_path / "a.gguf")
    for name, values in matrix.means.items():
        np.testing.assert_allclose(loaded.means[name], values, rtol=1e-6)
    loaded.save(tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_the_file_is_llama_cpps_own_format(tiny_model: Path, token_rows: list[list[int]], tmp_path: Path) -> None:
    collect(tiny_model, token_rows[:2]).save(tmp_path / "imatrix.gguf")
    reader = gguf.GGUFReader(tmp_path / "imatrix.gguf")
    assert reader.fields["general.type"].contents() == "imatrix"
    assert reader.fields["imatrix.chunk_count"].contents() == 2
    assert "general.architecture" not in reader.fields
    shapes = {tensor.name: tuple(tensor.shape.tolist()) for tensor in reader.tensors}
    assert shapes["blk.0.ffn_down.weight.in_sum2"] == (768, 1)
    assert shapes["blk.0.ffn_down.weight.counts"] == (1, 1)


def test_a_file_that_is_damaged_or_no_matrix_is_refused(
    tiny_model: Path, tiny_gguf: Path, token_rows: list[list[int]], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="is no importance matrix"):
        ImportanceMatrix.load(tiny_gguf)
    collect(tiny_model, token_rows[:1]).save(tmp_path / "imatrix.gguf")
    (tmp_path / "imatrix.gguf").write_bytes((tmp_path / "imatrix.gguf").read_bytes()[:-100])
    with pytest.raises(UserError, match="is damaged"):
        ImportanceMatrix.load(tmp_path / "imatrix.gguf")

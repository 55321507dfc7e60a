from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from qa_core.errors import UserError
from qa_core.quantization.imatrix import ImportanceMatrix
from qa_core.quantization.moments import collect


def test_a_saved_matrix_is_read_back(tiny_model: Path, token_rows: list[list[int]], tmp_path: Path) -> None:
    matrix = collect(tiny_model, token_rows[:2]).importance
    matrix.save(tmp_path / "a.gguf")
    loaded = ImportanceMatrix.load(tmp_path / "a.gguf")
    for name, values in matrix.means.items():
        np.testing.assert_allclose(loaded.means[name], values, rtol=1e-6)
    loaded.save(tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_the_file_is_llama_cpps_own_format(tiny_model: Path, token_rows: list[list[int]], tmp_path: Path) -> None:
    collect(tiny_model, token_rows[:2]).importance.save(tmp_path / "imatrix.gguf")
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
    collect(tiny_model, token_rows[:1]).importance.save(tmp_path / "imatrix.gguf")
    (tmp_path / "imatrix.gguf").write_bytes((tmp_path / "imatrix.gguf").read_bytes()[:-100])
    with pytest.raises(UserError, match="is damaged"):
        ImportanceMatrix.load(tmp_path / "imatrix.gguf")

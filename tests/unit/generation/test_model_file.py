from __future__ import annotations

from pathlib import Path

import pytest

from qa_core.errors import UserError
from qa_core.generation.model_file import model_file


def test_the_model_is_found_beside_its_matrix_and_its_adapter(tmp_path: Path) -> None:
    for name in ("adapter.gguf", "base.gguf", "imatrix.gguf", "Lectern-4.2M-Tiny-v1.0-Q4_K_M.gguf", "parity.json"):
        (tmp_path / name).touch()
    assert model_file(tmp_path).name == "Lectern-4.2M-Tiny-v1.0-Q4_K_M.gguf"


def test_a_folder_without_exactly_one_model_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="0 model files"):
        model_file(tmp_path)

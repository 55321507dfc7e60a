"""Which file of a ``gguf/`` artifact is the model."""

from __future__ import annotations

from pathlib import Path

from qa_core.errors import UserError

IMATRIX_FILE = "imatrix.gguf"
"""The importance matrix, which is a GGUF file too."""
ADAPTER_FILE = "adapter.gguf"
"""The adapter alone, for a base model in a file of its own."""

BASE_FILE = "base.gguf"
"""The base model that the adapter was trained on, where ``convert.base_file`` asked for it."""
_BESIDE = (IMATRIX_FILE, ADAPTER_FILE, BASE_FILE)


def model_file(gguf_folder: Path) -> Path:
    """The quantised model in the artifact at ``gguf_folder``."""
    files = [file for file in sorted(gguf_folder.glob("*.gguf")) if file.name not in _BESIDE]
    if len(files) != 1:
        raise UserError(f"{gguf_folder} has {len(files)} model files instead of one", "Run the convert stage again.")
    return files[0]

"""A LoRA adapter in a GGUF file, ready to be laid over a model, through llama.cpp's C interface."""

from __future__ import annotations

from pathlib import Path

from qa_core.errors import UserError
from qa_core.generation.gguf_adapter import read_adapter_header
from qa_core.generation.llama import LlamaModel, library


class LoraAdapter:
    """Matrices for one model. It changes a context, not the model, so others on the same weights stay as they are."""

    def __init__(self, path: Path, model: LlamaModel) -> None:
        read_adapter_header(path, model.header)
        self._llama = library()
        self.pointer = self._llama.llama_adapter_lora_init(model.pointer, str(path).encode())
        if not self.pointer:
            raise UserError(f"llama.cpp cannot load the adapter {path}", "Set logging to DEBUG for its reasons.")

    def close(self) -> None:
        """Free the matrices; every context that they lie over must be closed before."""
        if self.pointer:
            self._llama.llama_adapter_lora_free(self.pointer)
            self.pointer = None

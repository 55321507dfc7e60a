"""The weights and the vocabulary of a GGUF file, through llama.cpp's C interface."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import unicodedata
from pathlib import Path
from types import ModuleType
from typing import Any

from qa_core.errors import UserError
from qa_core.generation.gguf_model import read_model_header

_LOGGER = logging.getLogger(__name__)
_ERROR_LEVEL = 4
_PIECE_BYTES = 256
_NFC_PRE_TOKENIZERS = {"qwen2"}
"""Pre-tokenisers whose models normalise text in Hugging Face's library, which llama.cpp does not."""


@functools.cache
def library() -> ModuleType:
    """``llama_cpp``, ready to use and quiet: its messages go to Python's logging."""
    # A process that gives way to others must not wait by spinning: the thread that it waits for may not come to run
    # meanwhile. libgomp reads this once.
    if os.nice(0) > 0:
        os.environ.setdefault("GOMP_SPINCOUNT", "0")
    import llama_cpp

    llama_cpp.llama_log_set(_log_callback(), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


@functools.cache  # C keeps the pointer, so the object must live as long as the process
def _log_callback() -> Any:
    import llama_cpp

    @llama_cpp.llama_log_callback
    def log(level: int, text: bytes, _: Any) -> None:
        severity = logging.WARNING if level == _ERROR_LEVEL else logging.DEBUG
        _LOGGER.log(severity, "%s", text.decode("utf-8", "replace").rstrip())

    return log


class LlamaModel:
    """The weights and the vocabulary of one GGUF file."""

    def __init__(self, path: Path, n_gpu_layers: int = 0) -> None:
        self.header = read_model_header(path)
        self._llama = library()
        params = self._llama.llama_model_default_params()
        params.n_gpu_layers = n_gpu_layers
        self.pointer = self._llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            raise UserError(
                f"llama.cpp cannot load the model file {path}",
                "Set logging to DEBUG for its reasons; is the architecture one that it knows?",
            )
        self.vocabulary = self._llama.llama_model_get_vocab(self.pointer)
        self._normalizes = self.header.metadata.get("tokenizer.ggml.pre") in _NFC_PRE_TOKENIZERS
        self.n_vocab: int = self._llama.llama_vocab_n_tokens(self.vocabulary)
        self.n_ctx_train: int = self._llama.llama_model_n_ctx_train(self.pointer)
        self._answer_pieces: dict[int, bytes | None] = {}

    @property
    def chat_template(self) -> str | None:
        source = self._llama.llama_model_chat_template(self.pointer, None)
        return None if source is None else source.decode("utf-8")

    @functools.cached_property
    def control_tokens(self) -> list[str]:
        """Texts of the tokens that structure a prompt, such as ``<|im_start|>``."""
        control = self._llama.llama_vocab_is_control
        return [self.token_text(token) for token in range(self.n_vocab) if control(self.vocabulary, token)]

    def token_text(self, token: int) -> str:
        """Text of any token, control tokens included; empty for no token (-1)."""
        return "" if token < 0 else self._piece(token, special=True).decode("utf-8", "replace")

    @property
    def bos_text(self) -> str:
        return self.token_text(self._llama.llama_vocab_bos(self.vocabulary))

    @property
    def eos_text(self) -> str:
        return self.token_text(self._llama.llama_vocab_eos(self.vocabulary))

    def ends_generation(self, token: int) -> bool:
        """True for every end-of-generation token; chat models have more of them than ``eos``."""
        return bool(self._llama.llama_vocab_is_eog(self.vocabulary, token))

    def tokenize(self, text: str, parse_special: bool = True) -> list[int]:
        """Token ids of ``text`` without a beginning-of-sequence token, the same as Hugging Face's tokenizer gives."""
        if not self.pointer:
            raise RuntimeError("the engine is closed")  # the library would read freed memory
        data = (unicodedata.normalize("NFC", text) if self._normalizes else text).encode("utf-8", "replace")
        capacity = len(data) + 1  # byte-level BPE has no token without a byte
        buffer = (self._llama.llama_token * capacity)()
        count = self._llama.llama_tokenize(self.vocabulary, data, len(data), buffer, capacity, False, parse_special)
        if count < 0:
            raise RuntimeError(f"llama_tokenize needs {-count} tokens for {len(data)} bytes")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """Bytes that ``token`` adds to an answer: none for a control token, perhaps half a character for others."""
        return self._piece(token, special=False)

    def answer_piece(self, token: int) -> bytes | None:
        """Bytes that ``token`` adds to an answer, None for one that ends it; remembered, as each is asked for often."""
        if token not in self._answer_pieces:
            self._answer_pieces[token] = None if self.ends_generation(token) else self.piece(token)
        return self._answer_pieces[token]

    def _piece(self, token: int, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        size = self._llama.llama_token_to_piece(self.vocabulary, token, buffer, len(buffer), 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = self._llama.llama_token_to_piece(self.vocabulary, token, buffer, len(buffer), 0, special)
        return buffer.raw[:size]

    def close(self) -> None:
        if self.pointer:
            self._llama.llama_model_free(self.pointer)
            self.pointer = None

"""The one place that talks to llama.cpp's C interface: a model file and a context on it.

Several mistakes end the process inside the library instead of raising (a batch above ``n_batch``, for one), so everything
is checked here before it is handed over.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError
from qa_core.generation.gguf_header import read_header

_LOGGER = logging.getLogger(__name__)
_ERROR_LEVEL = 4
_PIECE_BYTES = 256
_NFC_PRE_TOKENIZERS = {"qwen2"}
"""Pre-tokenisers whose models normalise text in Hugging Face's library, which llama.cpp does not."""


@functools.cache
def library() -> ModuleType:
    """``llama_cpp``, ready to use and quiet: its messages go to Python's logging."""
    # Idle OpenMP threads spin by default, which starves a neighbour on the same cores; the library reads this once.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
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
        self.header = read_header(path)
        self._llama = library()
        params = self._llama.llama_model_default_params()
        params.n_gpu_layers = n_gpu_layers
        self.pointer = self._llama.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            raise UserError(
                f"llama.cpp cannot load the model file {path}",
                "Set logging to DEBUG for its reasons; is the architecture one that it knows?",
            )
        self._vocab = self._llama.llama_model_get_vocab(self.pointer)
        self._normalizes = self.header.metadata.get("tokenizer.ggml.pre") in _NFC_PRE_TOKENIZERS
        self.n_vocab: int = self._llama.llama_vocab_n_tokens(self._vocab)
        self.n_ctx_train: int = self._llama.llama_model_n_ctx_train(self.pointer)

    @property
    def chat_template(self) -> str | None:
        source = self._llama.llama_model_chat_template(self.pointer, None)
        return None if source is None else source.decode("utf-8")

    @functools.cached_property
    def control_tokens(self) -> list[str]:
        """Texts of the tokens that structure a prompt, such as ``<|im_start|>``."""
        control = self._llama.llama_vocab_is_control
        return [self.token_text(token) for token in range(self.n_vocab) if control(self._vocab, token)]

    def token_text(self, token: int) -> str:
        """Text of any token, control tokens included; empty for no token (-1)."""
        return "" if token < 0 else self._piece(token, special=True).decode("utf-8", "replace")

    @property
    def bos_text(self) -> str:
        return self.token_text(self._llama.llama_vocab_bos(self._vocab))

    @property
    def eos_text(self) -> str:
        return self.token_text(self._llama.llama_vocab_eos(self._vocab))

    def ends_generation(self, token: int) -> bool:
        """True for every end-of-generation token; chat models have more of them than ``eos``."""
        return bool(self._llama.llama_vocab_is_eog(self._vocab, token))

    def tokenize(self, text: str, parse_special: bool = True) -> list[int]:
        """Token ids of ``text`` without a beginning-of-sequence token, the same as Hugging Face's tokenizer gives."""
        data = (unicodedata.normalize("NFC", text) if self._normalizes else text).encode("utf-8", "replace")
        capacity = len(data) + 1  # byte-level BPE has no token without a byte
        buffer = (self._llama.llama_token * capacity)()
        count = self._llama.llama_tokenize(self._vocab, data, len(data), buffer, capacity, False, parse_special)
        if count < 0:
            raise RuntimeError(f"llama_tokenize needs {-count} tokens for {len(data)} bytes")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """Bytes that ``token`` adds to an answer: none for a control token, perhaps half a character for others."""
        return self._piece(token, special=False)

    def _piece(self, token: int, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        size = self._llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = self._llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, special)
        return buffer.raw[:size]

    def close(self) -> None:
        if self.pointer:
            self._llama.llama_model_free(self.pointer)
            self.pointer = None


class LlamaContext:
    """A key-value cache of ``n_seq_max`` sequences with ``n_ctx`` tokens each. For one thread at a time."""

    def __init__(self, model: LlamaModel, n_ctx: int, n_seq_max: int, n_batch: int, n_threads: int) -> None:
        if n_ctx > model.n_ctx_train:
            raise UserError(
                f"generation.n_ctx={n_ctx} is more than the {model.n_ctx_train} tokens the model was made for",
                f"set generation.n_ctx={model.n_ctx_train} or less",
            )
        self._llama = library()
        self.model, self.n_ctx, self.n_seq_max, self.n_batch = model, n_ctx, n_seq_max, n_batch
        params = self._llama.llama_context_default_params()
        params.n_ctx = n_ctx * n_seq_max  # divided among the sequences, because the cache is not unified
        params.n_seq_max, params.n_batch, params.n_ubatch = n_seq_max, n_batch, n_batch
        params.n_threads = params.n_threads_batch = n_threads
        params.kv_unified = False  # a sequence then attends over its own cells only: 1.4 times the tokens a second at 16
        self._pointer = self._llama.llama_init_from_model(model.pointer, params)
        if not self._pointer:
            raise UserError(
                f"llama.cpp has no room for {n_seq_max} contexts of {n_ctx} tokens",
                "lower generation.n_ctx or generation.n_seq_max",
            )
        self._memory = self._llama.llama_get_memory(self._pointer)
        self._batch = self._llama.llama_batch_init(n_batch, 0, 1)

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[int], wanted: Sequence[bool]
    ) -> None:
        """Run the model on up to ``n_batch`` tokens; sequences ascend, and ``wanted`` marks the rows that need logits."""
        self._check(tokens, positions, sequences, wanted)
        batch = self._batch
        batch.n_tokens = len(tokens)
        for row, token in enumerate(tokens):
            batch.token[row], batch.pos[row], batch.logits[row] = token, positions[row], wanted[row]
            batch.n_seq_id[row], batch.seq_id[row][0] = 1, sequences[row]
        if status := self._llama.llama_decode(self._pointer, batch):
            raise RuntimeError(f"llama_decode returned {status} for {len(tokens)} tokens")

    def _check(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[int], wanted: Sequence[bool]
    ) -> None:
        if not 0 < len(tokens) <= self.n_batch:
            raise ValueError(f"{len(tokens)} tokens in one batch; n_batch is {self.n_batch}")
        if not len(tokens) == len(positions) == len(sequences) == len(wanted):
            raise ValueError("a batch needs one position, sequence and mark for each token")
        if min(tokens) < 0 or max(tokens) >= self.model.n_vocab:
            raise ValueError(f"a token id is outside the vocabulary of {self.model.n_vocab}")
        if min(positions) < 0 or max(positions) >= self.n_ctx:
            raise ValueError(f"a position is outside the context of {self.n_ctx} tokens")
        if min(sequences) < 0 or max(sequences) >= self.n_seq_max:
            raise ValueError(f"a sequence id is outside 0..{self.n_seq_max - 1}")

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """Logits [vocabulary] of a wanted row of the last batch: a view that the next ``decode`` overwrites."""
        pointer = self._llama.llama_get_logits_ith(self._pointer, row)
        if not pointer:
            raise ValueError(f"row {row} of the last batch has no logits")
        return np.ctypeslib.as_array(pointer, (self.model.n_vocab,))

    def forget(self, sequence: int) -> None:
        """Empty the cache of one sequence."""
        self._llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def move(self, source: int, target: int) -> None:
        """Give the whole cache of ``source`` to the empty ``target``; copying a part would end the process."""
        self._llama.llama_memory_seq_cp(self._memory, source, target, 0, -1)
        self.forget(source)

    def clear(self) -> None:
        """Empty the cache of every sequence."""
        self._llama.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        if self._pointer:
            self._llama.llama_batch_free(self._batch)
            self._llama.llama_free(self._pointer)
            self._pointer = None

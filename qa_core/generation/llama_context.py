"""A key-value cache on a model, and the decode calls that fill it, through llama.cpp's C interface.

Several mistakes end the process inside the library instead of raising (a batch above ``n_batch``, for one), so
everything is checked here before it is handed over.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError
from qa_core.generation.llama import LlamaModel, library
from qa_core.generation.lora_adapter import LoraAdapter


class LlamaContext:
    """A key-value cache of ``n_seq_max`` sequences with ``n_ctx`` tokens each. For one thread at a time."""

    def __init__(
        self,
        model: LlamaModel,
        n_ctx: int,
        n_seq_max: int,
        n_batch: int,
        n_threads: int,
        adapter: LoraAdapter | None = None,
    ) -> None:
        """
        Args:
            adapter: lies over the weights of all sequences, as llama.cpp has one for a whole batch.
        """
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
        params.kv_unified = False  # each sequence attends over its own cells only: 1.4 times the tokens/s at 16
        self._pointer = self._llama.llama_init_from_model(model.pointer, params)
        if not self._pointer:
            raise UserError(
                f"llama.cpp has no room for {n_seq_max} contexts of {n_ctx} tokens",
                "lower generation.n_ctx or generation.n_seq_max",
            )
        if adapter is not None:
            self._lay_over(adapter)
        self._memory = self._llama.llama_get_memory(self._pointer)
        self._batch = self._llama.llama_batch_init(n_batch, 0, 1)
        self._logits: dict[int, npt.NDArray[np.float32]] = {}
        """By wanted row of the last batch."""

    def _lay_over(self, adapter: LoraAdapter) -> None:
        adapters = (self._llama.llama_adapter_lora_p_ctypes * 1)(adapter.pointer)
        if status := self._llama.llama_set_adapters_lora(self._pointer, adapters, 1, (ctypes.c_float * 1)(1.0)):
            raise RuntimeError(f"llama_set_adapters_lora returned {status}")

    def decode(
        self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[int], wanted: Sequence[bool]
    ) -> None:
        """Run the model on up to ``n_batch`` tokens; sequences ascend, ``wanted`` marks the rows that need logits."""
        self._check(tokens, positions, sequences, wanted)
        batch, self._logits = self._batch, {}
        batch.n_tokens = len(tokens)
        for row, token in enumerate(tokens):
            batch.token[row], batch.pos[row], batch.logits[row] = token, positions[row], wanted[row]
            batch.n_seq_id[row], batch.seq_id[row][0] = 1, sequences[row]
        if status := self._llama.llama_decode(self._pointer, batch):
            raise RuntimeError(f"llama_decode returned {status} for {len(tokens)} tokens")
        if rows := [row for row, is_wanted in enumerate(wanted) if is_wanted]:
            # Of these rows alone, in their order; asked for one by one they took 2 us each, as long as a greedy draw.
            pointer = self._llama.llama_get_logits(self._pointer)
            logits = np.ctypeslib.as_array(pointer, (len(rows), self.model.n_vocab))
            self._logits = dict(zip(rows, logits, strict=True))

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
        """Logits [vocabulary] of a wanted row of the last batch: a view, gone with the next ``decode`` or ``close``."""
        if row not in self._logits:
            raise ValueError(f"row {row} of the last batch has no logits")
        return self._logits[row]

    def forget(self, sequence: int) -> None:
        """Empty the cache of one sequence."""
        self._llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def copy(self, source: int, target: int) -> None:
        """Give ``target``, whatever it held, the whole cache of ``source``; copying a part would end the process."""
        self.forget(target)
        self._llama.llama_memory_seq_cp(self._memory, source, target, 0, -1)

    def move(self, source: int, target: int) -> None:
        self.copy(source, target)
        self.forget(source)

    def truncate(self, sequence: int, length: int) -> bool:
        """Keep the first ``length`` tokens of a sequence; False where the architecture cannot go back."""
        return bool(self._llama.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def clear(self) -> None:
        """Empty the cache of every sequence."""
        self._llama.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        if self._pointer:
            self._logits = {}
            self._llama.llama_batch_free(self._batch)
            self._llama.llama_free(self._pointer)
            self._pointer = None

"""Continuous batching: every step decodes one token of each running request and a piece of the prompts that wait.

The method is iteration-level scheduling (Yu et al., Orca, OSDI 2022) with chunked prefill (Agrawal et al.,
Sarathi-Serve, OSDI 2024).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from qa_core.generation.llama_context import LlamaContext
from qa_core.generation.request import Request
from qa_core.generation.slots import Slots


class Scheduler:
    """Owns a context and the slots in it. All methods belong to one thread."""

    def __init__(self, context: LlamaContext, reuse_prefixes: bool = False) -> None:
        """
        Args:
            reuse_prefixes: begin a prompt where an earlier one begins alike. Logits then differ in their last digits
                with what was asked before; without it, the same prompts on an idle engine always meet the same cache.
        """
        self._context = context
        self._reuse = reuse_prefixes
        self._slots = Slots(context, reuse_prefixes)
        self._waiting: deque[Request] = deque()
        self._running: dict[int, Request] = {}
        """By slot."""

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._running)

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def num_queued_tokens(self) -> int:
        """Prompt tokens that are still to be computed. May be asked from any thread."""
        unanswered = [request for request in list(self._running.values()) if not request.num_completion]
        return sum(request.num_pending for request in [*unanswered, *list(self._waiting)])

    def add(self, requests: Iterable[Request]) -> None:
        self._waiting.extend(requests)

    def step(self) -> None:
        """One decode call; every token drawn is told to its request."""
        self._drop_cancelled()
        self._admit()
        drawn = self._decode()
        for slot, row in drawn.items():
            self._draw(slot, row)

    def fail(self, error: Exception) -> None:
        """Give up every request, and start again with an empty cache."""
        requests = [*self._running.values(), *self._waiting]
        self._running.clear()
        self._waiting.clear()
        self._slots.clear()
        for request in requests:
            request.on_error(error)

    def _drop_cancelled(self) -> None:
        self._waiting = deque(request for request in self._waiting if not request.cancelled)
        for slot in [slot for slot, request in self._running.items() if request.cancelled]:
            self._free(slot)

    def _admit(self) -> None:
        if not self._running and not self._reuse:
            self._slots.clear()
        self._close_gaps()
        while self._waiting and (slot := len(self._running)) < self._context.n_seq_max:
            answering = self._running.copy()
            request = self._running[slot] = self._waiting.popleft()
            if self._reuse:
                held = {other: running.tokens[: running.num_done] for other, running in answering.items()}
                request.num_done = request.num_cached = self._slots.begin(slot, request.tokens, held)

    def _close_gaps(self) -> None:
        """Move the highest slots into free lower ones: llama.cpp decodes sequences together only without gaps."""
        for target in range(len(self._running)):
            if target not in self._running:
                source = max(self._running)
                self._slots.move(source, target)
                self._running[target] = self._running.pop(source)

    def _decode(self) -> dict[int, int]:
        """Fill and run one batch; returns the row with the logits of each slot that is ready to draw a token."""
        counts = self._share_batch()
        tokens: list[int] = []
        positions: list[int] = []
        sequences: list[int] = []
        wanted: list[bool] = []
        rows: dict[int, int] = {}
        for slot in sorted(counts):  # ascending, or llama.cpp splits the batch
            request, count = self._running[slot], counts[slot]
            end = request.num_done + count
            tokens += request.tokens[request.num_done : end]
            positions += range(request.num_done, end)
            sequences += [slot] * count
            ready = end == len(request.tokens)
            wanted += [False] * (count - 1) + [ready]
            request.num_done = end
            if ready:
                rows[slot] = len(tokens) - 1
        if tokens:
            self._context.decode(tokens, positions, sequences, wanted)
        return rows

    def _share_batch(self) -> dict[int, int]:
        """Tokens of each slot in this step: first one for every running answer, then prompts in slot order."""
        answering = {slot: 1 for slot, request in self._running.items() if request.num_completion}
        room = self._context.n_batch - len(answering)
        if answering:
            room = min(room, self._context.n_batch // 2)  # a long prompt must not hold up the answers for long
        counts = dict(answering)
        for slot in sorted(self._running.keys() - answering.keys()):
            if room and (count := min(room, self._running[slot].num_pending)):
                counts[slot] = count
                room -= count
        return counts

    def _draw(self, slot: int, row: int) -> None:
        request = self._running[slot]
        try:
            token = request.sampler.choose(self._context.logits(row))
        except Exception as error:  # a grammar that leads nowhere concerns this request alone, and is told to it
            self._free(slot)
            request.on_error(error)
            return
        delta = request.take(token, self._context.model.answer_piece(token))
        if delta is None:
            return
        if delta.finish_reason:
            self._free(slot)
        request.on_delta(delta)

    def _free(self, slot: int) -> None:
        request = self._running.pop(slot)
        self._slots.free(slot, request.tokens[: request.num_done])

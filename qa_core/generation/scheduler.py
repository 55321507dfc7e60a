"""Continuous batching: every step decodes one token of each running request and a piece of the prompts that wait.

The method is iteration-level scheduling (Yu et al., Orca, OSDI 2022) with chunked prefill (Agrawal et al.,
Sarathi-Serve, OSDI 2024). A slot that is free keeps what it computed, and a prompt that begins alike begins there
(prefix caching: Kwon et al., vLLM, SOSP 2023; here whole slots are copied, not blocks).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from qa_core.generation.detokenizer import Detokenizer
from qa_core.generation.llama_context import LlamaContext
from qa_core.generation.sampling import Grammar, Sampler, SamplingParams

FinishReason = Literal["stop", "length"]

_WORTH_COPYING = 1 / 32
"""Share of a slot's context from which on copying a whole slot is cheaper than computing the tokens in common."""


@dataclass(frozen=True)
class Delta:
    """What one step adds to an answer; the last one has a ``finish_reason``."""

    text: str
    finish_reason: FinishReason | None
    prompt_tokens: int
    completion_tokens: int
    """Tokens so far, the end token included."""
    cached_tokens: int = 0
    """Of the prompt, those that were found computed already."""


@dataclass(eq=False)
class Request:
    """One completion on its way through the scheduler."""

    tokens: list[int]
    params: SamplingParams
    on_delta: Callable[[Delta], None]
    on_error: Callable[[Exception], None]
    grammar: Grammar | None = None
    cancelled: bool = False
    """Set from any thread; the next step frees the slot."""
    num_done: int = 0
    """Prompt and completion tokens that are in the cache."""
    num_completion: int = 0
    num_cached: int = 0
    """Prompt tokens that were in the cache when the request came."""
    sampler: Sampler = field(init=False)
    text: Detokenizer = field(init=False)

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.params, self.grammar)
        self.text = Detokenizer(self.params.stop)

    @property
    def num_pending(self) -> int:
        """Tokens that the cache does not have yet: the rest of the prompt, or the one token drawn last."""
        return len(self.tokens) - self.num_done


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
        self._waiting: deque[Request] = deque()
        self._running: dict[int, Request] = {}
        self._left: dict[int, list[int]] = {}
        """What the free slots still hold, the one that was used last at the end."""

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
        self._left.clear()
        self._context.clear()
        for request in requests:
            request.on_error(error)

    def _drop_cancelled(self) -> None:
        self._waiting = deque(request for request in self._waiting if not request.cancelled)
        for slot in [slot for slot, request in self._running.items() if request.cancelled]:
            self._free(slot)

    def _admit(self) -> None:
        if not self._running and not self._reuse:
            self._context.clear()
        self._close_gaps()
        while self._waiting and (slot := len(self._running)) < self._context.n_seq_max:
            request = self._running[slot] = self._waiting.popleft()
            if self._reuse:
                request.num_done = request.num_cached = self._begin(slot, request.tokens)

    def _close_gaps(self) -> None:
        """Move the highest slots into free lower ones: llama.cpp decodes sequences together only without gaps."""
        for target in range(len(self._running)):
            if target not in self._running:
                source = max(self._running)
                self._left.pop(target, None)
                self._context.move(source, target)
                self._running[target] = self._running.pop(source)

    def _begin(self, slot: int, tokens: list[int]) -> int:
        """Leave in ``slot`` the longest beginning of ``tokens`` that any slot holds; returns its length."""
        worth = self._context.n_ctx * _WORTH_COPYING
        others = {
            other: running.tokens[: running.num_done] for other, running in self._running.items() if other != slot
        }
        common = {other: _common_length(tokens, held) for other, held in {**others, **self._left}.items()}
        own = common.get(slot, 0)
        best = max(common, key=lambda other: common[other], default=slot)
        if common.get(best, 0) < own + worth:
            best = slot
        self._keep_apart(slot, best, worth)
        if best != slot:
            self._context.copy(best, slot)
        # At least one token is left to compute: the logits behind it draw the answer.
        length = min(common.get(best, 0), len(tokens) - 1)
        if not self._context.truncate(slot, length):  # some architectures cannot go back
            self._context.forget(slot)
            length = 0
        return length

    def _keep_apart(self, slot: int, best: int, worth: float) -> None:
        """Save what ``slot`` holds in another free slot: an empty one, or the one that was used longest ago."""
        held = self._left.pop(slot, [])
        free = [other for other in range(self._context.n_seq_max) if other not in (*self._running, best)]
        if len(held) < worth or not free:
            return
        oldest = {other: place for place, other in enumerate(self._left)}
        spare = min(free, key=lambda other: oldest.get(other, -1))
        self._left.pop(spare, None)
        self._context.copy(slot, spare)
        self._left[spare] = held

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
        request, model = self._running[slot], self._context.model
        try:
            token = request.sampler.choose(self._context.logits(row))
        except Exception as error:  # a grammar that leads nowhere concerns this request alone, and is told to it
            self._free(slot)
            request.on_error(error)
            return
        request.tokens.append(token)
        request.num_completion += 1
        ended = model.ends_generation(token)
        text = "" if ended else request.text.push(model.piece(token))
        reason: FinishReason | None = None
        if ended or request.text.stopped:
            reason = "stop"
        elif request.num_completion >= request.params.max_tokens:
            reason = "length"
        if reason:
            text += request.text.finish()
            reason = "stop" if request.text.stopped else reason
            self._free(slot)
        if text or reason:
            num_prompt = len(request.tokens) - request.num_completion
            request.on_delta(Delta(text, reason, num_prompt, request.num_completion, request.num_cached))

    def _free(self, slot: int) -> None:
        request = self._running.pop(slot)
        if self._reuse:
            self._left[slot] = request.tokens[: request.num_done]
        else:
            self._context.forget(slot)


def _common_length(tokens: list[int], others: list[int]) -> int:
    """How many tokens at the beginning of both are the same."""
    return next(
        (place for place, (one, other) in enumerate(zip(tokens, others, strict=False)) if one != other),
        min(len(tokens), len(others)),
    )

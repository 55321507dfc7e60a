"""Which sequence of a context holds what, and where a new prompt may begin.

A slot that is free keeps what it computed, and a prompt that begins alike begins there (prefix caching: Kwon et al.,
vLLM, SOSP 2023; here whole slots are copied, not blocks).
"""

from __future__ import annotations

from collections.abc import Mapping

from qa_core.generation.llama_context import LlamaContext

_WORTH_COPYING = 1 / 32
"""Share of a slot's context from which on copying a whole slot is cheaper than computing the tokens in common."""


class Slots:
    """The sequences of ``context``, those that answer packed at the lower end."""

    def __init__(self, context: LlamaContext, reuse_prefixes: bool) -> None:
        self._context, self._reuse = context, reuse_prefixes
        self._left: dict[int, list[int]] = {}
        """What the free slots still hold, the one that was used last at the end."""

    def clear(self) -> None:
        self._left.clear()
        self._context.clear()

    def move(self, source: int, target: int) -> None:
        """Into a free slot, whatever that one held."""
        self._left.pop(target, None)
        self._context.move(source, target)

    def free(self, slot: int, held: list[int]) -> None:
        """``held``: the tokens whose keys and values are in the cache."""
        if self._reuse:
            self._left[slot] = held
        else:
            self._context.forget(slot)

    def begin(self, slot: int, tokens: list[int], answering: Mapping[int, list[int]]) -> int:
        """Leave in ``slot`` the longest beginning of ``tokens`` that any slot holds; returns its length.

        Args:
            answering: what the slots hold that are not free.
        """
        worth = self._context.n_ctx * _WORTH_COPYING
        common = {other: _common_length(tokens, held) for other, held in {**answering, **self._left}.items()}
        own = common.get(slot, 0)
        best = max(common, key=lambda other: common[other], default=slot)
        if common.get(best, 0) < own + worth:
            best = slot
        self._keep_apart(slot, {*answering, slot, best}, worth, goes_on=own if best == slot else 0)
        if best != slot:
            self._context.copy(best, slot)
        # At least one token is left to compute: the logits behind it draw the answer.
        length = min(common.get(best, 0), len(tokens) - 1)
        if not self._context.truncate(slot, length):  # some architectures cannot go back
            self._context.forget(slot)
            length = 0
        return length

    def _keep_apart(self, slot: int, taken: set[int], worth: float, goes_on: int) -> None:
        """Save what ``slot`` holds in another free slot: an empty one, or the one that was used longest ago.

        Args:
            goes_on: its first tokens, which stay where they are if the architecture can go back to them.
        """
        held = self._left.pop(slot, [])
        free = [other for other in range(self._context.n_seq_max) if other not in taken]
        if len(held) - goes_on < worth or not free:
            return
        oldest = {other: place for place, other in enumerate(self._left)}
        spare = min(free, key=lambda other: oldest.get(other, -1))
        self._left.pop(spare, None)
        self._context.copy(slot, spare)
        self._left[spare] = held


def _common_length(tokens: list[int], others: list[int]) -> int:
    """How many tokens at the beginning of both are the same."""
    return next(
        (place for place, (one, other) in enumerate(zip(tokens, others, strict=False)) if one != other),
        min(len(tokens), len(others)),
    )

"""One completion on its way through the scheduler, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from qa_core.generation.detokenizer import Detokenizer
from qa_core.generation.sampling import Grammar, Sampler, SamplingParams

FinishReason = Literal["stop", "length"]


class Delta(NamedTuple):  # one is made for every token, in a third of the time of a frozen dataclass
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
    """What is asked for, and how far it is."""

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

    def take(self, token: int, piece: bytes | None) -> Delta | None:
        """Add the token drawn last; returns what there is to tell, if anything.

        Args:
            piece: its bytes; None for one that ends the answer.
        """
        self.tokens.append(token)
        self.num_completion += 1
        text = "" if piece is None else self.text.push(piece)
        reason: FinishReason | None = None
        if piece is None or self.text.stopped:
            reason = "stop"
        elif self.num_completion >= self.params.max_tokens:
            reason = "length"
        if reason:
            text += self.text.finish()
            reason = "stop" if self.text.stopped else reason
        if not (text or reason):
            return None
        return Delta(text, reason, len(self.tokens) - self.num_completion, self.num_completion, self.num_cached)

"""Whole answers: what a finished one is, how it is put together, and why one cannot be."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from qa_core.errors import UserError
from qa_core.generation.request import Delta, FinishReason


class PromptTooLong(UserError):
    """The prompt and the answer that was asked for do not fit into the context together."""

    def __init__(self, prompt_tokens: int, limit: int) -> None:
        super().__init__(
            f"the prompt has {prompt_tokens} tokens and at most {limit} fit beside the answer",
            "Ask for fewer max_tokens, send less context, or raise generation.n_ctx.",
        )
        self.prompt_tokens = prompt_tokens
        self.limit = limit

    def __reduce__(self) -> tuple[type[PromptTooLong], tuple[int, int]]:  # type: ignore[override]
        return type(self), (self.prompt_tokens, self.limit)


@dataclass(frozen=True)
class Completion:
    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    """The end token included."""
    cached_tokens: int = 0
    """Of the prompt, those that were found computed already."""


class Collector:
    """Joins the deltas of one request into a completion."""

    def __init__(self) -> None:
        self.done: Future[Completion] = Future()
        self._text: list[str] = []

    def on_delta(self, delta: Delta) -> None:
        self._text.append(delta.text)
        if delta.finish_reason:
            text = "".join(self._text)
            self.done.set_result(
                Completion(text, delta.finish_reason, delta.prompt_tokens, delta.completion_tokens, delta.cached_tokens)
            )

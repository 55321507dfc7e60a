"""Contexts -> tensors: ids, positions, who attends to whom, and which next tokens are learned."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from qa_core.generation.chat import build_messages
from qa_core.training.tokenizer import TURN_END
from tools.reader.contexts import Context

_MARK = "QUESTION"
"""Stands for the question where a prompt is cut in two."""
_OPENING_TOKENS = 8
_START_WEIGHTS = (4.0, 2.0)
"""Of an answer's first tokens in the loss: there the sentence is chosen, and what follows is copying."""


@dataclass(frozen=True)
class Batch:
    """``rows`` contexts of ``length`` positions, padded on the right."""

    ids: torch.Tensor
    """int64[rows, length]"""
    positions: torch.Tensor
    """int64[rows, length]"""
    spans: list[list[int]]
    """Of each row the lengths of its prompt, of each branch and of the padding, in order."""
    answers: torch.Tensor
    """int64[n]: places (row * length + position) whose next token belongs to an answer."""
    text: torch.Tensor
    """int64[m]: places whose next token belongs to the passages."""
    answers_next: torch.Tensor
    """int64[n]: those next tokens."""
    text_next: torch.Tensor
    """int64[m]"""
    weights: torch.Tensor
    """float[n]: of the answers' tokens in the loss."""


class Batcher:
    """Lays contexts out with the tokenizer of the reader."""

    def __init__(self, tokenizer: Any, text_share: float, whole: float, draw: random.Random) -> None:
        """
        Args:
            tokenizer: a transformers tokenizer with the chat template.
            text_share: share of the passages' tokens that are learned as plain language.
            whole: share of the answers that are learned to their end; of the others only the opening, where the
                sentence is chosen: what follows is copying, and soon known.
        """
        self._tokenizer, self.draw = tokenizer, draw
        self._text_share, self._whole = text_share, whole
        self._cached = lru_cache(maxsize=1 << 16)(self._encode)

    def __call__(self, contexts: Sequence[Context]) -> Batch:
        rows = [self._row(context) for context in contexts]
        length = max(len(row.ids) for row in rows)
        answers = [(number * length + place, token) for number, row in enumerate(rows) for place, token in row.answers]
        text = [(number * length + place, token) for number, row in enumerate(rows) for place, token in row.text]

        def pad(values: list[int], fill: int) -> list[int]:
            return values + [fill] * (length - len(values))

        return Batch(
            torch.tensor([pad(row.ids, 0) for row in rows]),
            torch.tensor([pad(row.positions, 0) for row in rows]),
            [[*row.spans, length - len(row.ids)] for row in rows],
            torch.tensor([place for place, _ in answers]),
            torch.tensor([place for place, _ in text]),
            torch.tensor([token for _, token in answers]),
            torch.tensor([token for _, token in text]),
            torch.tensor([weight for row in rows for weight in row.weights]),
        )

    def _row(self, context: Context) -> _Row:
        before, after = self._prompt(context)
        row = _Row(list(before), list(range(len(before))), [len(before)], [], [], [])
        row.text = [
            (place, before[place + 1]) for place in range(len(before) - 1) if self.draw.random() < self._text_share
        ]
        for branch in context.branches:
            asked = self._cached(branch.question + after)
            answer = self._cached(branch.answer + TURN_END)
            if self.draw.random() >= self._whole:
                answer = answer[:_OPENING_TOKENS]
            start = len(row.ids) + len(asked) - 1
            row.answers += [(start + place, token) for place, token in enumerate(answer)]
            row.weights += [*_START_WEIGHTS, *[1.0] * len(answer)][: len(answer)]
            own = (*asked, *answer[:-1])
            row.ids += own
            row.positions += range(len(before), len(before) + len(own))
            row.spans.append(len(own))
        return row

    def _prompt(self, context: Context) -> tuple[tuple[int, ...], str]:
        messages = build_messages(_MARK, context.passages)
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        before, _, after = text.rpartition(_MARK)
        return tuple(self._encode(before)), after

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])


@dataclass
class _Row:
    ids: list[int]
    positions: list[int]
    spans: list[int]
    answers: list[tuple[int, int]]
    text: list[tuple[int, int]]
    weights: list[float]

"""Where chosen heads are told to look while a reader learns: the steps from a question to the sentence that answers it.

The loss of the answers alone does not teach a model of this size which sentence is meant: several layers of attention
would have to come right together. So heads in five layers are told what to look at, which the training text knows
(supervised attention: Liu et al., "Neural Machine Translation with Supervised Attention", 2016, arXiv 1609.04186). The
trained model is a plain Qwen2; nothing of this is needed to use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

Step = Literal["sentence", "number", "word", "gather", "first", "second", "copy", "cite"]
HEAD_OF_STEP: dict[Step, tuple[int, int]] = {
    "sentence": (1, 0), "number": (1, 1), "word": (2, 0), "gather": (3, 0), "first": (4, 0), "second": (4, 1),
    "copy": (5, 0), "cite": (5, 1),
}  # fmt: skip
"""Layer and head of each step.

============  ==================================================================================
sentence      from a token of a passage, or of an answer, to the beginning of its sentence
number        from a token of a passage to the number of its passage
word          from a word of the question to the same word in the sentence that answers
gather        from the end of the prompt, and from each token of the answer, to those words of the question
first         from the end of the prompt to the beginning of the sentence, or, where none answers, to the first token
second        from the answer's first token to the same place
copy          from each token of the answer to the place in the sentence that holds the next one
cite          from the bracket that opens the citation to the beginning of the sentence
============  ==================================================================================
"""


@dataclass(frozen=True)
class Pointers:
    """Of one step in one row."""

    queries: torch.Tensor
    """int64[n]: places in the row."""
    targets: torch.Tensor
    """bool[n, length]: where they should look."""

    @classmethod
    def of(cls, links: Sequence[tuple[int, Sequence[int]]], length: int) -> Pointers:
        targets = torch.zeros(len(links), length, dtype=torch.bool)
        for row, (_, places) in enumerate(links):
            targets[row, list(places)] = True
        return cls(torch.tensor([query for query, _ in links]), targets)


@dataclass
class Guide:
    """Hears queries and keys of every layer, and keeps what each step loses by looking elsewhere."""

    rows: Sequence[Mapping[Step, Pointers]]
    spans: Sequence[Sequence[int]]
    losses: dict[Step, torch.Tensor] = field(default_factory=dict)
    """Nats: minus the logarithm of the attention on the targets, its mean over the queries of the step."""

    def hear(self, layer: int, query: torch.Tensor, key: torch.Tensor, scaling: float) -> None:
        """Of one layer: ``[rows, heads, length, size]`` each, after the rotary embedding."""
        for step, (its_layer, head) in HEAD_OF_STEP.items():
            if its_layer == layer:
                lost = [
                    _lost(query[number, head], key[number, head], row[step], _segments(spans), scaling)
                    for number, (row, spans) in enumerate(zip(self.rows, self.spans, strict=True))
                    if step in row
                ]
                if lost:
                    self.losses[step] = torch.cat(lost).mean()


def _lost(
    query: torch.Tensor, key: torch.Tensor, pointers: Pointers, segments: torch.Tensor, scaling: float
) -> torch.Tensor:
    """float[n]"""
    own = segments[pointers.queries, None]
    earlier = torch.arange(len(segments)) <= pointers.queries[:, None]
    visible = earlier & ((segments == 0) | (segments == own))
    scores = (query[pointers.queries] @ key.T * scaling).masked_fill(~visible, -torch.inf)
    return scores.logsumexp(1) - scores.masked_fill(~pointers.targets, -torch.inf).logsumexp(1)


def _segments(spans: Sequence[int]) -> torch.Tensor:
    """int64[length]: 0 for the prompt, then the number of the branch."""
    return torch.repeat_interleave(torch.arange(len(spans)), torch.tensor(spans))

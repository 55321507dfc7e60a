"""Answers without chance: the most probable token, again and again, from torch and from llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import torch

from qa_core.generation.llama import LlamaModel
from qa_core.generation.llama_context import LlamaContext

_BATCH = 256


@torch.inference_mode()
def greedy_from_network(
    network: Any, prompts: Sequence[Sequence[int]], max_tokens: int, stops: Sequence[int]
) -> list[list[int]]:
    """Token ids of each answer, without the token that ended it."""
    return [_from_network(network, prompt, max_tokens, frozenset(stops)) for prompt in prompts]


def _from_network(network: Any, prompt: Sequence[int], max_tokens: int, stops: frozenset[int]) -> list[int]:
    answer: list[int] = []
    ids, cache = torch.tensor([list(prompt)], device=network.device), None
    while len(answer) < max_tokens:
        output = network(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = int(output.logits[0, -1].argmax())
        if token in stops:
            break
        answer.append(token)
        ids, cache = torch.tensor([[token]], device=network.device), output.past_key_values
    return answer


def greedy_from_file(
    model: LlamaModel, prompts: Sequence[Sequence[int]], max_tokens: int, n_threads: int
) -> list[list[int]]:
    """The same from a GGUF file, one prompt at a time: logits of a quantised model depend on what shares a batch."""
    if not prompts:
        return []
    n_ctx = max(map(len, prompts)) + max_tokens
    with closing(LlamaContext(model, n_ctx, 1, _BATCH, n_threads)) as context:
        return [_from_file(context, prompt, max_tokens) for prompt in prompts]


def _from_file(context: LlamaContext, prompt: Sequence[int], max_tokens: int) -> list[int]:
    context.clear()
    answer: list[int] = []
    pending, position = list(prompt), 0
    while len(answer) < max_tokens:
        for start in range(0, len(pending), _BATCH):
            part = pending[start : start + _BATCH]
            places = range(position, position + len(part))
            context.decode(part, places, [0] * len(part), [place + 1 == position + len(part) for place in places])
            position += len(part)
        token = int(context.logits(len(part) - 1).argmax())
        if context.model.ends_generation(token):
            break
        answer.append(token)
        pending = [token]
    return answer


def greedy_agreement(answers: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> float:
    """Share of prompts with the same answer, token for token; 1 where there is none."""
    same = [list(one) == list(other) for one, other in zip(answers, others, strict=True)]
    return sum(same) / len(same) if same else 1.0

"""Greedy answers of a model in training: what a sweep compares candidates by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Any

import torch

from qa_core.training.attention import ROW_ATTENTION
from qa_core.training.sft import IGNORED, TrainingExample

_AT_ONCE = 16
"""Prompts of a batch: unpacking 4-bit weights costs as much for one as for all of them."""


def last_turn(example: TrainingExample) -> tuple[list[int], list[int]]:
    """Token ids of the prompt and of the last answer, its end mark included."""
    start = max(place for place, label in enumerate(example.labels) if label == IGNORED) + 1
    return example.input_ids[:start], example.input_ids[start:]


def answer_f1(model: Any, tokenizer: Any, examples: Sequence[TrainingExample], max_new_tokens: int) -> float:
    """Mean token F1 of the greedy answers to the last turns of ``examples``."""
    from qa_core.evaluation.metrics import token_f1  # brings libraries that training alone does without

    turns = [last_turn(example) for example in examples]
    answers = written_answers(model, tokenizer, [prompt for prompt, _ in turns], max_new_tokens)
    wanted = [_text(tokenizer, tokens) for _, tokens in turns]
    return fmean(token_f1(*pair) for pair in zip(answers, wanted, strict=True))


def written_answers(model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[str]:
    """The greedy answers to ``prompts`` as text, without end marks."""
    return [_text(tokenizer, tokens) for tokens in greedy_answers(model, prompts, max_new_tokens)]


def _text(tokenizer: Any, token_ids: Sequence[int]) -> str:
    return str(tokenizer.decode(token_ids, skip_special_tokens=True))


def greedy_answers(model: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
    """The most likely continuation of each prompt, in the prompts' order; end marks and padding may follow."""
    answers: list[list[int]] = [[]] * len(prompts)
    by_length = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    with torch.no_grad(), _answering(model):
        for start in range(0, len(by_length), _AT_ONCE):
            batch = by_length[start : start + _AT_ONCE]
            for number, answer in zip(
                batch, _continue(model, [prompts[n] for n in batch], max_new_tokens), strict=True
            ):
                answers[number] = answer
    return answers


def _continue(model: Any, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
    longest = max(map(len, prompts))
    padded = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    attended = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    written = model.generate(
        input_ids=torch.tensor(padded, device=model.device),
        attention_mask=torch.tensor(attended, device=model.device),
        do_sample=False,
        max_new_tokens=max_new_tokens,
    )
    return written[:, longest:].tolist()


@contextmanager
def _answering(model: Any) -> Iterator[None]:
    """Evaluation mode, with an attention that knows of padding."""
    was_training, base = model.training, model.get_base_model()
    model.eval()
    base.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        base.set_attn_implementation(ROW_ATTENTION)
        model.train(was_training)

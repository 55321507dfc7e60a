"""Conversations of the data set -> token ids and labels for supervised fine-tuning.

What is trained is what the column ``messages`` shows. The loss counts the assistant's turn and its end mark only: the
prompt's labels are -100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from qa_core.errors import UserError
from qa_core.schemas import Message

IGNORED = -100
"""The label that torch's cross entropy leaves out."""

TOO_LONG = "too_long"


@dataclass(frozen=True)
class TrainingExample:
    """One conversation: ``input_ids`` and ``labels`` of the same length."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class PaddingCollator:
    """Examples -> int64[batch, longest] tensors, padded on the right."""

    pad_token_id: int

    def __call__(self, examples: Sequence[TrainingExample]) -> dict[str, torch.Tensor]:
        longest = max(len(example.input_ids) for example in examples)
        rows = [(example, longest - len(example.input_ids)) for example in examples]
        return {
            "input_ids": torch.tensor([example.input_ids + [self.pad_token_id] * pad for example, pad in rows]),
            "attention_mask": torch.tensor([[1] * len(example.input_ids) + [0] * pad for example, pad in rows]),
            "labels": torch.tensor([example.labels + [IGNORED] * pad for example, pad in rows]),
        }


def build_examples(
    qa: pa.Table, split: str, tokenizer: Any, max_length: int
) -> tuple[list[TrainingExample], dict[str, int]]:
    """Examples of one split in the table's order, and how many rows were rejected for which reason.

    Args:
        qa: columns ``split`` and ``messages`` of ``schemas.QA``.
        tokenizer: a transformers tokenizer with a chat template.
        max_length: tokens of a conversation; a longer one is left out, never cut.
    """
    examples: list[TrainingExample] = []
    rejected: dict[str, int] = {}
    for messages in qa.filter(pc.equal(qa["split"], split))["messages"].to_pylist():
        example = encode(tokenizer, messages)
        if len(example.input_ids) > max_length:
            rejected[TOO_LONG] = rejected.get(TOO_LONG, 0) + 1
        else:
            examples.append(example)
    return examples, rejected


def encode(tokenizer: Any, messages: Sequence[Message]) -> TrainingExample:
    """Token ids of a conversation in the tokenizer's chat template; labels start at its last turn, the answer.

    Prompt and answer are tokenised apart, because that is how they meet at inference time: a prompt's last token never
    merges with the answer's first.
    """
    prompt = tokenizer.apply_chat_template(list(messages[:-1]), tokenize=False, add_generation_prompt=True)
    conversation = tokenizer.apply_chat_template(list(messages), tokenize=False)
    if not conversation.startswith(prompt):
        raise UserError(
            "the base model's chat template does not put an answer behind its generation prompt",
            "choose a base model with a ChatML-like template, such as Qwen2.5-Instruct",
        )
    # What follows the end mark (a newline in ChatML) is written by the next turn, not by the model.
    prompt_ids = _ids(tokenizer, prompt)
    answer_ids = _ids(tokenizer, conversation[len(prompt) :].rstrip())
    return TrainingExample(prompt_ids + answer_ids, [IGNORED] * len(prompt_ids) + answer_ids)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])

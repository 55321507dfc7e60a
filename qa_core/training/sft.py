"""Question/answer rows -> chat turns -> token ids and labels for supervised fine-tuning.

The loss counts the answer and its end mark only: the prompt's labels are -100.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch

from qa_core.errors import UserError
from qa_core.generation.chat import build_messages
from qa_core.schemas import Message, Passage

IGNORED = -100
"""The label that torch's cross entropy leaves out."""

TOO_LONG = "too_long"


@dataclass(frozen=True)
class SftSettings:
    """What decides the text of a training row."""

    max_length: int
    context_fraction: float
    top_k: int
    seed: int


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
    qa: pa.Table, chunks: pa.Table, split: str, tokenizer: Any, settings: SftSettings
) -> tuple[list[TrainingExample], dict[str, int]]:
    """Examples of one split in the table's order, and how many rows were rejected for which reason.

    Args:
        qa: rows of ``schemas.QA``.
        chunks: rows of ``schemas.CHUNKS``; every chunk that ``qa`` points at is among them.
        tokenizer: a transformers tokenizer with a chat template.
    """
    passages = {row["chunk_id"]: Passage.from_row(row) for row in chunks.to_pylist()}
    chunk_ids = sorted(passages)
    examples: list[TrainingExample] = []
    rejected: dict[str, int] = {}
    for row in qa.to_pylist():
        if row["split"] != split:
            continue
        example = encode(tokenizer, *chat_of(row, passages, chunk_ids, settings))
        if len(example.input_ids) > settings.max_length:
            rejected[TOO_LONG] = rejected.get(TOO_LONG, 0) + 1
        else:
            examples.append(example)
    return examples, rejected


def chat_of(
    row: Mapping[str, Any], passages: Mapping[str, Passage], chunk_ids: Sequence[str], settings: SftSettings
) -> tuple[list[Message], str]:
    """Prompt messages and the answer to learn from one QA row.

    A seeded share of the rows is shown passages, as the service will show them, and then cites the right ones; the
    others stand alone. Every draw depends on the row's id only, never on its place in the table.
    """
    draw = random.Random(f"{settings.seed}:{row['qa_id']}")
    answer = row["answer"].strip()
    if draw.random() >= settings.context_fraction:
        return build_messages(row["question"]), answer
    gold = set(row["chunk_ids"]) if row["answerable"] else set()
    shown = _shown_ids(gold, chunk_ids, settings.top_k, draw)
    marks = [f"[{number}]" for number, chunk_id in enumerate(shown, start=1) if chunk_id in gold]
    return build_messages(row["question"], [passages[chunk_id] for chunk_id in shown]), " ".join([answer, *marks])


def _shown_ids(gold: set[str], chunk_ids: Sequence[str], top_k: int, draw: random.Random) -> list[str]:
    """All gold chunks and random others up to ``top_k``, shuffled."""
    others = [chunk_id for chunk_id in chunk_ids if chunk_id not in gold]
    distractors = draw.sample(others, min(len(others), max(0, top_k - len(gold))))
    shown = sorted(gold) + distractors
    draw.shuffle(shown)
    return shown


def encode(tokenizer: Any, messages: Sequence[Message], answer: str) -> TrainingExample:
    """Token ids of prompt and answer in the tokenizer's chat template; labels start at the answer.

    Prompt and answer are tokenised apart, because that is how they meet at inference time: a prompt's last token never
    merges with the answer's first.
    """
    prompt = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    turns = [*messages, Message(role="assistant", content=answer)]
    conversation = tokenizer.apply_chat_template(turns, tokenize=False)
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

"""Conversations of the data set -> token ids and labels for supervised fine-tuning.

What is trained is what the column ``messages`` shows. The loss counts the assistant's turns and their end marks only:
all other labels are -100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qa_core.errors import UserError
from qa_core.schemas import Message

IGNORED = -100
"""The label that torch's cross entropy leaves out."""

TOO_LONG = "too_long"


@dataclass(frozen=True)
class TrainingExample:
    """One conversation: ``input_ids`` and ``labels`` of the same length, and the row that it came from."""

    input_ids: list[int]
    labels: list[int]
    qa_id: str = ""


def build_examples(
    qa: pa.Table, split: str, tokenizer: Any, max_length: int
) -> tuple[list[TrainingExample], dict[str, int]]:
    """Examples of one split in the table's order, and how many rows were rejected for which reason.

    Args:
        qa: columns ``qa_id``, ``split`` and ``messages`` of ``schemas.QA``.
        tokenizer: a transformers tokenizer with a chat template.
        max_length: tokens of a conversation; a longer one is left out, never cut.
    """
    examples: list[TrainingExample] = []
    rejected: dict[str, int] = {}
    for row in qa.filter(pc.equal(qa["split"], split)).select(["qa_id", "messages"]).to_pylist():
        example = encode(tokenizer, row["messages"], row["qa_id"])
        if len(example.input_ids) > max_length:
            rejected[TOO_LONG] = rejected.get(TOO_LONG, 0) + 1
        else:
            examples.append(example)
    return examples, rejected


def encode(tokenizer: Any, messages: Sequence[Message], qa_id: str = "") -> TrainingExample:
    """Token ids of a conversation in the tokenizer's chat template; labels are the assistant's turns with end marks.

    Prompts and answers are tokenised apart, because that is how they meet at inference time: a prompt's last token
    never merges with the answer's first. What follows an end mark (a newline in ChatML) is written by the next turn,
    not by the model.
    """
    input_ids: list[int] = []
    labels: list[int] = []
    written = ""
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, turn = list(messages[:number]), list(messages[: number + 1])
        prompt = tokenizer.apply_chat_template(before, tokenize=False, add_generation_prompt=True)
        conversation = tokenizer.apply_chat_template(turn, tokenize=False)
        marked = prompt != tokenizer.apply_chat_template(before, tokenize=False)
        if not (marked and conversation.startswith(prompt) and prompt.startswith(written)):
            raise _unusable_template()
        answer = conversation[len(prompt) :].rstrip()
        prompt_ids, answer_ids = _ids(tokenizer, prompt[len(written) :]), _ids(tokenizer, answer)
        input_ids += prompt_ids + answer_ids
        labels += [IGNORED] * len(prompt_ids) + answer_ids
        written = prompt + answer
    return TrainingExample(input_ids, labels, qa_id)


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation that waits for the assistant, as :func:`encode` has them before an answer."""
    return _ids(tokenizer, tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def num_tokens(tokenizer: Any, text: str) -> int:
    """Of a part of a prompt."""
    return len(_ids(tokenizer, text))


def _unusable_template() -> UserError:
    return UserError(
        "the base model's chat template does not mark where the assistant's turn begins, or does not put the answer"
        " behind that mark: its loss cannot be told from the prompt's",
        "choose a base model with a ChatML-like template, such as Qwen2.5-Instruct",
    )


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])

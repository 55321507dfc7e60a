"""Contexts -> tensors: ids, positions, who attends to whom, which next tokens are learned, where heads should look."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

from qa_core.generation.chat import build_messages
from qa_core.training.tokenizer import TURN_END
from tools.reader.contexts import Branch, Context
from tools.reader.guide import Pointers, Step
from tools.reader.sentences import BEGINNING, Sentence, copied_length, find_sentences, same_words, word_numbers

_MARK = "QUESTION"
"""Stands for the question where a prompt is cut in two."""
_OPENING_TOKENS = 8
_START_WEIGHTS = (4.0, 2.0)
"""Of an answer's first tokens in the loss: there the sentence is chosen, and what follows is copying."""

_SHOWN = 0.2
"""Share of the passages' tokens that are shown the beginning of their sentence."""


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
    pointers: list[dict[Step, Pointers]]
    """Of each row, where its heads are told to look."""


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
        self._words = word_numbers(tokenizer)
        self._bracket = self._encode(" [")
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
            [{step: Pointers.of(links, length) for step, links in row.links.items()} for row in rows],
        )

    def _row(self, context: Context) -> _Row:
        before, after, sentences = self._prompt(context)
        row = _Row(list(before), list(range(len(before))), [len(before)])
        row.text = [
            (place, before[place + 1]) for place in range(len(before) - 1) if self.draw.random() < self._text_share
        ]
        self._point_within(sentences, row)
        words = [self._words[token] for token in before]
        for branch in context.branches:
            self._add_branch(branch, after, words, sentences, row)
        return row

    def _add_branch(
        self, branch: Branch, after: str, words: list[int], sentences: list[dict[str, Sentence]], row: _Row
    ) -> None:
        asked, answer = self._cached(branch.question + after), self._cached(branch.answer + TURN_END)
        if self.draw.random() >= self._whole:
            answer = answer[:_OPENING_TOKENS]
        start = len(row.ids) + len(asked) - 1
        if not branch.passage:
            row.point("first", start, [0])
            row.point("second", start + 1, [0])
        elif sentence := sentences[branch.passage - 1].get(branch.sentence):
            self._point_to_answer(asked, answer, words, sentence, row)
        row.answers += [(start + place, token) for place, token in enumerate(answer)]
        row.weights += [*_START_WEIGHTS, *[1.0] * len(answer)][: len(answer)]
        row.add((*asked, *answer[:-1]))

    def _point_within(self, sentences: list[dict[str, Sentence]], row: _Row) -> None:
        for sentence in (one for passage in sentences for one in passage.values()):
            for place in range(sentence.beginning, sentence.end):
                if self.draw.random() < _SHOWN:
                    row.point("sentence", place, [sentence.beginning])
                    row.point("number", place, [sentence.number])

    def _point_to_answer(
        self, asked: tuple[int, ...], answer: tuple[int, ...], words: list[int], sentence: Sentence, row: _Row
    ) -> None:
        offset, end = len(row.ids), len(row.ids) + len(asked) - 1
        shared = same_words([self._words[token] for token in asked], words, sentence)
        for place, same in shared:
            row.point("word", offset + place, same)
        row.point("first", end, [sentence.beginning])
        row.point("second", end + 1, [sentence.beginning])
        copied = copied_length(answer, row.ids[sentence.start : sentence.end])
        own_beginning = end + BEGINNING
        for place in range(1, copied):
            row.point("copy", end + place, [sentence.start + place])
            if end + place >= own_beginning:
                row.point("sentence", end + place, [own_beginning])
        bracket = copied + len(self._bracket)
        cites = answer[copied:bracket] == self._bracket and bracket < len(answer)  # not where it is cut right there
        if cites:
            row.point("cite", end + bracket, [sentence.beginning])
        if shared:
            for place in range(max(2, bracket + 1 if cites else copied)):
                row.point("gather", end + place, [offset + at for at, _ in shared])

    def _prompt(self, context: Context) -> tuple[tuple[int, ...], str, list[dict[str, Sentence]]]:
        """Tokens up to the question, the text behind it, and where the passages' sentences are."""
        messages = build_messages(_MARK, context.passages)
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        before, _, after = text.rpartition(_MARK)
        encoded = self._tokenizer(before, add_special_tokens=False, return_offsets_mapping=True)
        sentences = find_sentences(before, encoded["offset_mapping"], context.sentences)
        return tuple(encoded["input_ids"]), after, sentences

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])


@dataclass
class _Row:
    ids: list[int]
    positions: list[int]
    spans: list[int]
    answers: list[tuple[int, int]] = field(default_factory=list)
    text: list[tuple[int, int]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    links: dict[Step, list[tuple[int, list[int]]]] = field(default_factory=dict)

    def add(self, branch: tuple[int, ...]) -> None:
        self.ids += branch
        self.positions += range(self.spans[0], self.spans[0] + len(branch))
        self.spans.append(len(branch))

    def point(self, step: Step, place: int, targets: list[int]) -> None:
        self.links.setdefault(step, []).append((place, targets))

"""How many of the ranked passages fit the prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from qa_core.config import RetrievalSettings
from qa_core.generation.chat import format_passage
from qa_core.schemas import Passage

_WORD_END = re.compile(r"(?<=\S)(?=\s|$)")


def fit_to_budget(
    passages: Sequence[Passage], settings: RetrievalSettings, count_tokens: Callable[[str], int]
) -> list[Passage]:
    """The longest beginning of ``passages`` whose formatted text is within ``context_tokens``.

    Lower-ranked passages go first. Where even the best one is too long it is cut after a word, so that an answer can
    still cite it: its text stays what the paper has from ``start_char`` to the new ``end_char``.
    """
    left = settings.context_tokens
    kept: list[Passage] = []
    for number, passage in enumerate(passages, start=1):
        left -= count_tokens(format_passage(number, passage) + "\n\n")
        if left < 0:
            break
        kept.append(passage)
    if passages and not kept:
        return _cut_to_budget(passages[0], settings.context_tokens, count_tokens)
    return kept


def _cut_to_budget(passage: Passage, budget: int, count_tokens: Callable[[str], int]) -> list[Passage]:
    """``[passage]`` with the most words that fit, or nothing when not even its heading and one word do."""
    ends = [match.start() for match in _WORD_END.finditer(passage.text)]
    low, high = 0, len(ends)  # low words fit, high + 1 may not
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(format_passage(1, _beginning(passage, ends[middle - 1])) + "\n\n") <= budget:
            low = middle
        else:
            high = middle - 1
    if low == 0:
        return []
    cut = _beginning(passage, ends[low - 1])
    return [replace(cut, num_tokens=count_tokens(cut.text))]


def _beginning(passage: Passage, end: int) -> Passage:
    return replace(passage, text=passage.text[:end], end_char=passage.start_char + end)

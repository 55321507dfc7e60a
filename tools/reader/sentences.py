"""Where the sentences of the passages, and the words of a question in them, lie among the tokens of a prompt."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

BEGINNING = 3
"""Tokens of a sentence that its others look to: the last of them knows the ones before it."""
_OWN_SHARE = 0.5
"""Least share of a word's places in the prompt that lie in the sentence, for the word to point at it."""
_SHORTEST_WORD = 2


@dataclass(frozen=True)
class Sentence:
    start: int
    """Its first place in the row."""
    end: int
    """Behind its last place."""
    number: int
    """Place of the number of its passage."""

    @property
    def beginning(self) -> int:
        """The place that stands for the sentence."""
        return min(self.start + BEGINNING, self.end) - 1


def find_sentences(
    prompt: str, offsets: Sequence[tuple[int, int]], passages: Sequence[Sequence[str]]
) -> list[dict[str, Sentence]]:
    """Of each passage its sentences, by their words.

    Args:
        prompt: text of the prompt.
        offsets: first character of each token, and the one behind its last.
        passages: of each passage the sentences, in the order of the prompt.
    """
    starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
    found, cursor = [], 0
    for number, sentences in enumerate(passages, start=1):
        # At the beginning of a line: elsewhere, as in a[2] = x, it is the passage's own.
        cursor = prompt.index(f"\n[{number}] ", cursor) + 1
        end = prompt.find(f"\n[{number + 1}] ", cursor)
        its_number = bisect_left(ends, cursor + len("[1"))
        matches = (
            (text, _pattern(text).search(prompt, cursor, end if end >= 0 else len(prompt))) for text in sentences
        )
        found.append(
            {
                text: Sentence(bisect_left(ends, match.start() + 1), bisect_left(starts, match.end()), its_number)
                for text, match in matches
                if match
            }
        )
    return found


def same_words(asked: Sequence[int], prompt: Sequence[int], sentence: Sentence) -> list[tuple[int, list[int]]]:
    """Of the words of a question, by their place in ``asked``, where in ``sentence`` they stand.

    Args:
        asked: the question's words, as :func:`word_numbers` has them.
        prompt: the prompt's.
    """
    found = []
    for place, word in enumerate(asked):
        inside = [at for at in range(sentence.start, sentence.end) if prompt[at] == word >= 0]
        if inside and len(inside) >= _OWN_SHARE * prompt.count(word):
            found.append((place, inside))
    return found


def copied_length(answer: Sequence[int], sentence: Sequence[int]) -> int:
    """Tokens at the beginning of ``answer`` that are those of ``sentence``; the first is so even without its space."""
    pairs = enumerate(zip(answer, sentence, strict=False))
    return next((place for place, (said, stood) in pairs if place and said != stood), min(len(answer), len(sentence)))


def word_numbers(tokenizer: Any) -> list[int]:
    """For each token a number of its word, whatever its case and the space before it; -1 for what is no word."""
    numbers: dict[str, int] = {}
    special = set(tokenizer.all_special_ids)
    found = []
    for token in range(len(tokenizer)):
        word = tokenizer.decode([token]).strip().lower()
        is_word = token not in special and len(word) >= _SHORTEST_WORD and word.isalnum()
        found.append(numbers.setdefault(word, len(numbers)) if is_word else -1)
    return found


@lru_cache(maxsize=1 << 16)
def _pattern(text: str) -> re.Pattern[str]:
    """Passages break their lines anywhere."""
    return re.compile(r"\s+".join(map(re.escape, text.split())))

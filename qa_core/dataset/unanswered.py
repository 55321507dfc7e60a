"""Whether a paper answers a question that is meant to have no answer in it.

A question about an attribute of :mod:`qa_core.dataset.attributes` counts as answered where a sentence about its
subject, or the one after it, has words that state the attribute; any other question where one or two neighbouring
sentences hold nearly all its words and the kind of thing it asks for. Both err towards *answered*: a good row lost
costs less than an abstention that the paper proves wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from qa_core.corpus.sentences import sentence_spans
from qa_core.dataset.attributes import ATTRIBUTES, MADE, Attribute
from qa_core.terms import content_stems

_TOPIC = re.compile(
    r"^in the context of .+?, (?=who|what|which|when|where|why|how|in|on|under|by|to|with|for|at)", re.IGNORECASE
)
_REFERENCE = re.compile(r"^\[\d+\] ", re.MULTILINE)
_ENOUGH = 0.8
"""Share of a question's content words in one or two neighbouring sentences that makes them an answer."""
_KINDS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = (
    (
        re.compile(r"\bwho(?:m|se)?\b", re.IGNORECASE),
        re.compile(r"(?<=[a-z,] )[A-Z][a-z]+|[A-Z][a-z]+(?:, [A-Z]| and [A-Z]| et al\.| and colleagues)"),
    ),
    (
        re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|month)\b", re.IGNORECASE),
        re.compile(r"\b(?:1[89]|20)\d\d\b"),
    ),
    (
        re.compile(
            r"\bhow (?:many|much|long|often|large|big|fast|old|far|high)\b|\bto what value\b|\bpercentage\b",
            re.IGNORECASE,
        ),
        re.compile(r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|dozen|hundred|half|twice)\b"),
    ),
)
"""How a kind of answer is asked for, and what it looks like."""


def answered_by(question: str, texts: Sequence[str]) -> str | None:
    """The sentence of ``texts`` that may answer ``question``, with its neighbour where both do; None where none does.

    Args:
        texts: all passages of the paper that is asked; references count, as they tell who and when.
    """
    plain = _TOPIC.sub("", question)
    attribute = next((entry for entry in ATTRIBUTES if entry.asked.search(plain)), None)
    return _by_words(plain, texts) if attribute is None else _by_attribute(plain, attribute, texts)


def _by_attribute(question: str, attribute: Attribute, texts: Sequence[str]) -> str | None:
    # What the question is about is what is left of it without the words that ask.
    asking = content_stems(re.sub(r"\{\w+\}", " ", attribute.question)) | content_stems(attribute.words)
    subject = content_stems(re.sub(rf"\b{MADE}\b", " ", question, flags=re.IGNORECASE)) - asking
    for window in _windows(texts):
        if _is_about(window, subject) and attribute.stated.search(_without(window, question)):
            return window
    return None


def _is_about(window: str, subject: frozenset[str]) -> bool:
    """Whether all words of a short subject, or two in three of a longer one, stand in ``window``."""
    needed = len(subject) if len(subject) < 3 else -(-2 * len(subject) // 3)
    return len(subject & content_stems(window)) >= needed


def _by_words(question: str, texts: Sequence[str]) -> str | None:
    wanted = content_stems(question)
    looks_like = next((answer for asks, answer in _KINDS if asks.search(question)), None)
    for window in _windows(texts):
        enough = len(wanted & content_stems(window)) >= _ENOUGH * len(wanted)
        if enough and (looks_like is None or looks_like.search(_without(window, question))):
            return window
    return None


def _windows(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield from _windows_of(text)


@lru_cache(maxsize=4096)
def _windows_of(text: str) -> tuple[str, ...]:
    """Every sentence, and every two neighbours; an entry of a reference list is one sentence."""
    if _REFERENCE.search(text):
        return tuple(" ".join(entry.split()) for entry in re.split(r"\n\s*\n|\n(?=\[\d+\])", text))
    sentences = [" ".join(text[start:end].split()) for start, end in sentence_spans(text)]
    return (*sentences, *(f"{first} {second}" for first, second in pairwise(sentences)))


def _without(window: str, question: str) -> str:
    """``window`` without the names and numbers that the question has itself: they are no answer to it."""
    own = {word for word in re.findall(r"[\w.,-]*\w", question) if not word.islower()}
    return re.sub(r"[\w.,-]*\w", lambda match: "" if match[0] in own else match[0], window)

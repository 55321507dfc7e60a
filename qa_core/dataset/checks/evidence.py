"""Quotes to spans of the paper: what a teacher says it copied is looked up, character by character.

A quote and its source are compared by a key that leaves out what copying changes: white space, markdown's emphasis and
escapes, accents, upper case, quotation marks and the shape of dashes. What is kept is always the source's own text. All
of it takes time linear in the source.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.proposals import Quote
from qa_core.dataset.requests import Source

_SHAPES = {
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "…": "...",
}  # fmt: skip
_LEFT_OUT = frozenset("*_`\\'\"‘’‚‛´“”„‟«»\u00ad\u200b\u2060\ufeff")
"""Emphasis and escapes of markdown, quotation marks, and characters that have no width."""
_ELLIPSIS = re.compile(r"\s*(?:\[(?:\.{3}|…)\]|\((?:\.{3}|…)\)|\.{3,}|…)\s*")
_RIM = ".,;:!?"
"""What a teacher adds to a quote or leaves off at either end of it."""
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_WORD = re.compile(rf"{_UNSPACED.pattern}|[^\W_]+")
"""A word, or a character of a script that sets no spaces."""
_FEWEST_WORDS = 3
_LONGEST_WORD = 40


@dataclass(frozen=True)
class Evidence:
    """A span of the document, in Unicode code points: ``text == document[start_char:end_char]``."""

    chunk_id: str
    text: str
    start_char: int
    end_char: int


def locate(quotes: Sequence[Quote], sources: Sequence[Source]) -> list[Evidence] | Rejection:
    """Where the quotes stand, each span once. Reasons: ``evidence_not_found``, ``evidence_too_short``.

    A quote that leaves out its middle ("A block … 16 tokens") becomes a span for each part.
    """
    keys = {number: _Key(source.text) for number, source in enumerate(sources, start=1)}
    found: dict[Evidence, None] = {}
    for quote in quotes:
        source = sources[quote.passage - 1]
        spans = _spans(quote.text, keys[quote.passage])
        if spans is None:
            return Rejection("evidence", "evidence_not_found", quote.text[:200])
        for start, end in spans:
            text = source.text[start:end]
            if _is_too_short(text, source.kind):
                return Rejection("evidence", "evidence_too_short", text[:200])
            offset = source.start_char
            found[Evidence(source.chunk_id, text, offset + start, offset + end)] = None
    return list(found)


class _Key:
    """A text in the form in which it is compared, and where each character of that form comes from."""

    def __init__(self, text: str) -> None:
        self.text, self._origin = _fold_all(text)
        self._source = text

    def find(self, wanted: str, *, inside_words: bool) -> tuple[int, int] | None:
        """The first place that begins and ends between words; else, where allowed, the first, made whole."""
        widened: tuple[int, int] | None = None
        at = self.text.find(wanted)
        while at >= 0:
            start, end = self._origin[at], self._origin[at + len(wanted) - 1] + 1
            if not (self._joins(start) or self._joins(end)):
                return self._with_marks(start, end)
            if inside_words and widened is None:
                widened = self._widen(start, end)
            at = self.text.find(wanted, at + len(wanted))
        return widened

    def _joins(self, position: int) -> bool:
        """Whether ``position`` is inside a word."""
        around = self._source[max(0, position - 1) : position + 1] if position else ""
        return len(around) == 2 and around.isalnum() and not _UNSPACED.search(around)

    def _widen(self, start: int, end: int) -> tuple[int, int] | None:
        left, right = start, end
        while self._joins(left) and start - left <= _LONGEST_WORD:
            left -= 1
        while self._joins(right) and right - end <= _LONGEST_WORD:
            right += 1
        return None if self._joins(left) or self._joins(right) else self._with_marks(left, right)

    def _with_marks(self, start: int, end: int) -> tuple[int, int]:
        """With the accents of the last letter, and the other half of emphasis or code that begins or ends inside."""
        text = self._source
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        for mark in ("**", "`"):
            if text.count(mark, start, end) % 2:
                if text.startswith(mark, end):
                    end += len(mark)
                elif text.endswith(mark, 0, start):
                    start -= len(mark)
        return start, end


def _spans(quote: str, key: _Key) -> list[tuple[int, int]] | None:
    whole = _span(quote, key)
    if whole is not None:
        return [whole]
    parts = [part for part in _ELLIPSIS.split(quote) if part.strip()]
    spans = [_span(part, key) for part in parts] if len(parts) > 1 else []
    return [span for span in spans if span] if spans and all(spans) else None


def _span(quote: str, key: _Key) -> tuple[int, int] | None:
    wanted, _ = _fold_all(quote)
    # Half a word is a slip at the rim of a long quote, and chance in a short one: "16" is not in "2016".
    inside_words = len(_WORD.findall(quote)) >= _FEWEST_WORDS
    for form in dict.fromkeys((wanted, wanted.strip(_RIM))):
        if form and (span := key.find(form, inside_words=inside_words)):
            return span
    return None


def _fold_all(text: str) -> tuple[str, list[int]]:
    """The key of ``text``, a run of dashes as one, and the position of each of its characters in ``text``."""
    keys: list[str] = []
    origin: list[int] = []
    for position, character in enumerate(text):
        for key in _fold(character):
            if key != "-" or not keys or keys[-1] != "-":
                keys.append(key)
                origin.append(position)
    return "".join(keys), origin


@lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    """What ``character`` is compared as; empty when it does not count."""
    if character in _LEFT_OUT or character.isspace():
        return ""
    plain = unicodedata.normalize("NFD", _SHAPES.get(character, character))
    return "".join(mark for mark in plain if not unicodedata.combining(mark)).lower()


def _is_too_short(text: str, kind: str) -> bool:
    if kind == "table" or any(character.isdigit() for character in text):
        return False
    return len(_WORD.findall(text)) < _FEWEST_WORDS

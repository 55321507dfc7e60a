"""Sentence boundaries with exact spans, in time linear in the text.

Rules instead of a model: the splitter must give the same spans everywhere, and papers have few surprises beyond
abbreviations, decimals, initials, inline math and citations. When in doubt it does not split.
"""

from __future__ import annotations

import re

Span = tuple[int, int]

# A blank line, a list item, a heading, a table row and a code fence each begin something new.
_BREAK = re.compile(r"\n(?=[ \t]*(?:\n|\Z|[-*+][ \t]|\d{1,3}[.)][ \t]|#{1,6}[ \t]|\||```|\$\$))")
# The first character class alone leads the scan, and the possessive quantifiers keep a run of ten thousand dots linear.
_TERMINATOR = re.compile(r"[.!?…](?<![.!?…]{2})[.!?…]*+[)\]\"'”’»*_`]*+(?:\[[^\[\]\n]{1,60}+\])*+(?=\s|\Z)")
_WIDE = "。！？"
_TERMINATOR_OR_WIDE = re.compile(rf"{_TERMINATOR.pattern}|[{_WIDE}]++[”’」』）)]*+")
# Code spans and inline math. As in pandoc, "$" opens before a non-space and closes after one, so prices stay prose.
_INLINE = re.compile(r"`[^`]++`|\$(?=\S)[^$]*+(?<=\S)\$(?!\d)|\\\((?:[^\\]|\\(?![()]))*+\\\)")
_INLINE_MARKS = ("`", "$", "\\(")
_OPENING = re.compile(r"[\s(\[{\"'“‘*_`~]")
_MARKS = (".", "!", "?", "…")
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_DOTTED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_LOOK_BACK = 40
"""Longest stretch before a full stop that can decide about it."""

_NEVER_LAST = frozenset(
    {"eg", "ie", "cf", "vs", "viz", "approx", "resp", "ca", "dr", "prof", "mr", "mrs", "ms", "st"}
    | {"fig", "figs", "eq", "eqs", "sec", "secs", "tab", "ref", "refs", "alg"}
)
"""Abbreviations that always want something after them."""
_LONGEST_ABBREVIATION = 7
"""Letters; a word at least as long is none of those above and below."""
_BEFORE_NUMBER = frozenset(
    {"no", "nos", "vol", "pp", "p", "ch", "app", "thm", "lem", "prop", "cor", "def", "ex", "art"}
)
"""Abbreviations only where a number follows: "no." is also a plain word."""
_CAPTIONED = frozenset({"table", "figure", "algorithm", "listing", "equation", "box", "section", "step", "phase"})
"""What opens a caption with a number: "Table 1. Storage of the formats." is one sentence."""
_OPENERS = frozenset(
    {"A", "After", "All", "An", "And", "As", "At", "But", "By", "Each", "Every", "For", "From", "Here", "Hence", "How"}
    | {
        "However",
        "If",
        "In",
        "It",
        "Its",
        "Let",
        "No",
        "Now",
        "On",
        "Once",
        "One",
        "Our",
        "Since",
        "So",
        "Such",
        "That",
    }
    | {"The", "Then", "There", "These", "They", "This", "Those", "Thus", "To", "We", "When", "While", "With", "Without"}
)
"""Words that follow "appendix A." but hardly the initial of a name."""


def sentence_spans(text: str) -> list[Span]:
    """Start and end of every sentence, in order; together they cover all that is not white space."""
    terminator = _TERMINATOR_OR_WIDE if any(mark in text for mark in _WIDE) else _TERMINATOR
    has_inline = any(mark in text for mark in _INLINE_MARKS)
    spans: list[Span] = []
    start = 0
    for match in _BREAK.finditer(text):
        _split_run(text, start, match.start(), terminator, has_inline, spans)
        start = match.end()
    _split_run(text, start, len(text), terminator, has_inline, spans)
    return spans


def _split_run(
    text: str, start: int, stop: int, terminator: re.Pattern[str], has_inline: bool, spans: list[Span]
) -> None:
    """Add the sentences of a stretch without structural breaks to ``spans``."""
    inline = [match.span() for match in _INLINE.finditer(text, start, stop)] if has_inline else []
    next_inline = 0
    for match in terminator.finditer(text, start, stop):
        mark, end = match.span()
        while next_inline < len(inline) and inline[next_inline][1] <= mark:
            next_inline += 1
        if next_inline < len(inline) and inline[next_inline][0] <= mark:
            continue
        if text[mark] in _WIDE or _ends_sentence(text, start, stop, mark, end):
            _add_stripped(text, start, end, spans)
            start = end
    _add_stripped(text, start, stop, spans)


def _ends_sentence(text: str, start: int, stop: int, mark: int, end: int) -> bool:
    """Whether the mark at ``mark``, with what closes it up to ``end``, ends a sentence of ``text[start:stop]``."""
    following = text[end : min(stop, end + _LOOK_BACK)].lstrip()
    if following[:1].islower():
        return False
    if text[mark] != "." or text[mark + 1 : mark + 2] in _MARKS:
        return True
    if mark - start >= _LONGEST_ABBREVIATION and text[mark - _LONGEST_ABBREVIATION : mark].isalpha():
        return True  # nearly every full stop follows such a word
    before = text[max(start, mark - _LOOK_BACK) : mark]
    word = _OPENING.split(before)[-1]
    return not _wants_more(word, before[: len(before) - len(word)].split(), following)


def _wants_more(word: str, earlier: list[str], following: str) -> bool:
    """Whether the full stop after ``word`` belongs to an abbreviation, an initial or an enumerator."""
    lowered = word.lower()
    if lowered in _NEVER_LAST or _DOTTED.fullmatch(word):
        return True
    if lowered in _BEFORE_NUMBER:
        return following[:1].isdigit()
    if lowered == "al":
        return not following[:1].isupper()
    if _NUMBER.fullmatch(word):
        return not earlier or (len(earlier) == 1 and earlier[0].strip("*_").lower() in _CAPTIONED)
    if len(word) == 1 and word.isupper():
        return bool(following) and following.split(None, 1)[0].rstrip(",") not in _OPENERS
    return False


def _add_stripped(text: str, start: int, end: int, spans: list[Span]) -> None:
    body = text[start:end]
    if stripped := body.strip():
        start += body.index(stripped[0])
        spans.append((start, start + len(stripped)))

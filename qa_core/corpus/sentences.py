"""Sentence boundaries with exact spans, in time linear in the text.

Rules instead of a model: the splitter must give the same spans everywhere, and papers have few surprises beyond
abbreviations, decimals, initials, inline math and citations. When in doubt it does not split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

# A blank line, a list item, a heading, a table row and a code fence each begin something new.
_BREAK = re.compile(r"\n(?=[ \t]*(?:\n|\Z|[-*+][ \t]|\d{1,3}[.)][ \t]|#{1,6}[ \t]|\||```|\$\$))")
# The possessive quantifiers keep a run of ten thousand dots linear.
_TERMINATOR = re.compile(
    r"(?<![.!?…])(?P<mark>[.!?…]++)[)\]\"'”’»*_`]*+(?:\[[^\[\]\n]{1,60}+\])*+(?=\s|\Z)|(?P<wide>[。！？]++[”’」』）)]*+)"
)
# Code spans and inline math. As in pandoc, "$" opens before a non-space and closes after one, so prices stay prose.
_INLINE = re.compile(r"`[^`]++`|\$(?=\S)[^$]*+(?<=\S)\$(?!\d)|\\\((?:[^\\]|\\(?![()]))*+\\\)")
_LAST_WORD = re.compile(r"[^\s(\[{\"'“‘*_`~]*\Z")
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_DOTTED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_LOOK_BACK = 40
"""Longest stretch before a full stop that can decide about it."""

_NEVER_LAST = frozenset(
    {"eg", "ie", "cf", "vs", "viz", "approx", "resp", "ca", "dr", "prof", "mr", "mrs", "ms", "st"}
    | {"fig", "figs", "eq", "eqs", "sec", "secs", "tab", "ref", "refs", "alg"}
)
"""Abbreviations that always want something after them."""
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
    spans: list[Span] = []
    start = 0
    for match in _BREAK.finditer(text):
        spans.extend(_split_run(text, start, match.start()))
        start = match.end()
    spans.extend(_split_run(text, start, len(text)))
    return spans


def _split_run(text: str, start: int, stop: int) -> Iterator[Span]:
    """The sentences of a stretch without structural breaks."""
    inline = [match.span() for match in _INLINE.finditer(text, start, stop)]
    next_inline = 0
    for match in _TERMINATOR.finditer(text, start, stop):
        while next_inline < len(inline) and inline[next_inline][1] <= match.start():
            next_inline += 1
        if next_inline < len(inline) and inline[next_inline][0] <= match.start():
            continue
        if match["wide"] or _ends_sentence(text, start, stop, match):
            yield from _stripped(text, start, match.end())
            start = match.end()
    yield from _stripped(text, start, stop)


def _ends_sentence(text: str, start: int, stop: int, match: re.Match[str]) -> bool:
    following = text[match.end() : min(stop, match.end() + _LOOK_BACK)].lstrip()
    if following[:1].islower():
        return False
    if match["mark"] != ".":
        return True
    before = text[max(start, match.start() - _LOOK_BACK) : match.start()]
    word_match = _LAST_WORD.search(before)
    word = word_match.group() if word_match else ""
    earlier = before[: len(before) - len(word)].split()
    return not _wants_more(word, earlier, following)


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


def _stripped(text: str, start: int, end: int) -> Iterator[Span]:
    body = text[start:end]
    if body.strip():
        yield start + len(body) - len(body.lstrip()), start + len(body.rstrip())

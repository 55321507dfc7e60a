"""Sentences that can be understood, and asked about, without the rest of their paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qa_core.corpus.sentences import sentence_spans
from qa_core.dataset.template.lexicon import COMMON_ENDINGS, COMMON_STARTERS

_LIST_MARKER = re.compile(r"(?:[-*+]|\d+[.)])\s+")
_CITATION = re.compile(r"\s*\[\d+\](?:,\s*\[\d+\])*")
_ONE_SENTENCE = re.compile(r"[A-Z](?:(?![\w)]{2}\. [a-z]).)*\.$")
_UNREADABLE = re.compile(r"\$\$|```|\n\s*\||!\[|\]\(|<[a-z/]")
_POINTS_AWAY = re.compile(
    r"\b(?:Table|Figure|Fig\.|Equation|Eq\.|Section|Algorithm|Listing|Appendix)\s+\d"
    r"|\b(?:shown|listed|described|given|see) (?:above|below)|\b(?:above|below)(?:[.,)]| (?:is|are|shows?|gives?)\b)"
    r"|\bthe (?:above|following|former|latter)\b|\bas follows\b|\b[Tt](?:his|hese) [a-z]"
)
_STARTS_WITH_STAND_IN = re.compile(
    r"(?:It|Its|They|Their|This|These|Those|That|Such|There|Here|He|She|We|Our|You|Both|Neither|Either|Another|Others?|"
    r"The (?:first|second|third|last|other|two|three|latter|former|same|rest|sum|result|remaining)|"
    r"For example|For instance|Suppose|Consider|Let|Assume)\b"
)
_CONCLUSION = r"(?:therefore|thus|hence|consequently|accordingly)"
_CONCLUDES = re.compile(rf"(?i:{_CONCLUSION})\b|[^,;:]+ {_CONCLUSION} ")
_OPENS_WITH_CONCLUSION = re.compile(rf"^(?i:{_CONCLUSION}),? (\w)")


@dataclass(frozen=True)
class Statement:
    """One sentence on its way to questions."""

    text: str
    """As it would stand inside another sentence: decapitalised, without citations and full stop."""
    answer: str
    """What answers a question about it: the sentence, led by the one before it when it draws a conclusion."""
    start: int
    """Of the evidence, in characters of the chunk."""
    end: int
    concludes: bool = False
    """Whether the reason for it stands in the sentence before it."""


Rule = Callable[[Statement], Iterator[str]]
"""Yields questions that the statement answers, without capital letter and question mark.

A rule says nothing rather than something doubtful: a corpus has more sentences than a data set needs.
"""


def statements(text: str) -> Iterator[Statement]:
    """The usable sentences of a chunk, in order."""
    before: tuple[str, int, int] | None = None
    for start, end in sentence_spans(text):
        sentence = _clean(text, start, end)
        if sentence is not None:
            statement = _statement(text, sentence, before)
            if statement is not None:
                yield statement
        before = sentence


def decapitalise(sentence: str, context: str) -> str | None:
    """``sentence`` as it would stand inside another one; None when its first word may or may not be a name.

    A word is a name if ``context`` writes it with a capital inside a sentence, and common if it writes it small.
    """
    word = re.split(r"[\s,]", sentence, maxsplit=1)[0].removesuffix("'s")
    if not re.fullmatch(r"[A-Z][a-z]*(?:-[a-z]+)*", word):
        return sentence
    lower = word.lower()
    small = lower[0] + sentence[1:]
    if lower in COMMON_STARTERS or re.match(r"[a-z]{3,}-", lower):
        return small
    if re.search(rf"(?<=[a-z,;] ){word}\b", context):
        return sentence
    variants = {lower, lower.rstrip("s"), lower + "s"}
    if any(re.search(rf"(?<![\w-]){variant}(?!\w)", context) for variant in variants):
        return small
    return small if lower.endswith(COMMON_ENDINGS) else None


def _clean(text: str, start: int, end: int) -> tuple[str, int, int] | None:
    """The sentence without marker, citations and line breaks, and its span; None when it cannot stand in an answer."""
    raw = text[start:end]
    if marker := _LIST_MARKER.match(raw):
        start, raw = start + marker.end(), raw[marker.end() :]
    # Reference marks would read as citations of the passages in a prompt.
    sentence = " ".join(_CITATION.sub("", raw).replace("**", "").split())
    if not _ONE_SENTENCE.match(sentence) or _UNREADABLE.search(raw) or _POINTS_AWAY.search(sentence):
        return None
    return sentence, start, end


def _statement(text: str, sentence: tuple[str, int, int], before: tuple[str, int, int] | None) -> Statement | None:
    plain, start, end = sentence
    answer = plain
    concludes = _CONCLUDES.match(plain) is not None
    if concludes:
        if before is None or "\n\n" in text[before[2] : start] or _STARTS_WITH_STAND_IN.match(before[0]):
            return None
        answer, start = f"{before[0]} {plain}", before[1]
        plain = _OPENS_WITH_CONCLUSION.sub(lambda match: match[1].upper(), plain, count=1)
    if _STARTS_WITH_STAND_IN.match(plain):
        return None
    small = decapitalise(plain.removesuffix("."), text)
    return Statement(small, answer, start, end, concludes) if small else None

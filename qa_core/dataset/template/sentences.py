"""Sentences that can be understood, and asked about, without the rest of their paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from qa_core.corpus.sentences import sentence_spans
from qa_core.dataset.template.lexicon import COMMON_ENDINGS, COMMON_STARTERS, COMMON_WORDS, DISCOVERIES, FINDINGS
from qa_core.dataset.template.patterns import PEOPLE

PAPER = "\ue000"
"""Stands for the paper's name in ``Statement.text``: a private-use character, so that no rule reads words in it."""

_LONGEST = 600
"""Characters of a sentence: more are a run of text that is none, which the patterns would take long over."""
_LIST_MARKER = re.compile(r"(?:[-*+]|\d+[.)])\s+")
_CITATION = re.compile(r"\s*\[\d+\](?:,\s*\[\d+\])*")
_ONE_SENTENCE = re.compile(rf"(?:[A-Z{PAPER}]|[a-z]+[A-Z])(?:(?![\w)]{{2}}\. [a-z]).)*\.$")
_UNREADABLE = re.compile(r"\$\$|```|\n\s*\||!\[|\]\(|<[a-z/]")
_POINTS_AWAY = re.compile(
    r"\b(?:Table|Figure|Fig\.|Equation|Eq\.|Section|Algorithm|Listing|Appendix)\s+\d"
    r"|\b(?:shown|listed|described|given|see) (?:above|below)"
    r"|\b(?:above|below)(?:[.,)]| (?:is|are|shows?|gives?|into|and)\b)"
    r"|\bthe (?:above|following|former|latter)\b|\bas follows\b|\b[Tt](?:his|hese) [a-z]"
    r"|(?<!other )\bsuch (?!as\b)[a-z]"
    r"|\b(?:companion|the two|both) papers?\b|\bone of those\b|\b[A-Z]\. [A-Z][a-z]+ [a-z]"
)
"""Needs another place of the paper; the last line is a sentence border that an initial hid."""
_OF_THAT = re.compile(r"\b(?:of|in|on|for|with|by|from|to|under|after|before) that (?!of\b)([a-z]+)\b")
_ABOUT_THE_PAPER = re.compile(
    r"(?:The (?:survey|present paper|paper|code|sections?|(?:next|closing|worked) [a-z]+)|In the example|"
    r"(?:An?|The|Numerical|All|Worked) (?:numerical |worked )?(?:examples?|figures?|timings?)|"
    r"An? (?:final|closing|worked|simple|small|short|analytic|published|practical) "
    r"(?:part|section|example|number|model|figure|choice|calculation|block))\b"
)
"""Says how the paper goes on, rather than something about its subject."""
_STARTS_WITH_STAND_IN = re.compile(
    r"(?:It|Its|They|Their|This|These|Those|That|Such|There|Here|He|She|We|Our|You|Both|Neither|Either|Another|Others?|"
    r"The (?:first|second|third|last|other|two|three|latter|former|same|rest|sum|result|remaining)|"
    r"For example|For instance|Suppose|Consider|Let|Assume)\b"
)
_CONCLUSION = r"(?:therefore|thus|hence|consequently|accordingly)"
_CONCLUDES = re.compile(rf"(?i:{_CONCLUSION})\b|[^,;:]+ {_CONCLUSION} ")
_OPENS_WITH_CONCLUSION = re.compile(rf"^(?i:{_CONCLUSION}),? (\w)")

_WE_ADVISE = re.compile(
    r"(?:Finally, )?[Ww]e (?:also |further |therefore |generally )*(recommend|advise|suggest|prefer|consider)(?= )"
)
_OUR_JUDGEMENT = re.compile(r"In our (?:judgement|view|opinion|experience),? ")
_FIRST_PERSON = re.compile(r"\b(?:[Ww]e|[Oo]ur|us)\b")
_SHORT_FORM = re.compile(
    r" \([A-Z][\w/-]{1,9}\)|, (?:abbreviated|also called|also known as|known as|called|written|short for|introduced as)"
    r" [^,;:.]{1,60},"
    r"(?= (?:is|are|[a-z]+s) )"
)
"""*Dominant resource fairness (DRF)*, *high-bandwidth memory, abbreviated HBM, ...*: no part of the grammar."""


@dataclass(frozen=True)
class Statement:
    """One sentence on its way to questions."""

    text: str
    """As it would stand inside another sentence: decapitalised, without citations, short forms and full stop."""
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


def quoted(title: str) -> str:
    """A paper's name in running text: its title up to the colon, in quotation marks."""
    name = " ".join(title.split(": ")[0].split()).replace('"', "'")
    return f'"{name}"'


@lru_cache(maxsize=1024)
def statements(text: str, title: str) -> tuple[Statement, ...]:
    """The usable sentences of a passage of the paper ``title``, in order.

    Cached, since a passage is asked for every question type.
    """
    found: list[Statement] = []
    before: tuple[str, int, int] | None = None
    for start, end in sentence_spans(text):
        sentence = _clean(text, start, end)
        if sentence is not None:
            statement = _statement(text, sentence, before, quoted(title))
            if statement is not None:
                found.append(statement)
        before = sentence
    return tuple(found)


def decapitalise(sentence: str, context: str) -> str | None:
    """``sentence`` as it would stand inside another one; None when its first word may or may not be a name.

    A word is a name if ``context`` writes it with a capital inside a sentence, and common if it writes it small.
    """
    first = re.split(r"[\s,]", sentence, maxsplit=1)[0]
    word = first.removesuffix("'s")
    if not re.fullmatch(r"[A-Z][a-z]*(?:-[a-z]+)*", word):
        return sentence
    lower = word.lower()
    small = lower[0] + sentence[1:]
    if lower in COMMON_STARTERS or re.match(r"[a-z]{3,}-", lower):
        return small
    if re.search(rf"(?:\b[a-z][\w-]*|[,;]) {word}\b", context) or _names_people(sentence):
        return sentence
    variants = {lower, lower.rstrip("s"), lower + "s"}
    if any(re.search(rf"(?<![\w-]){variant}(?!\w)", context) for variant in variants):
        return small
    if lower.endswith(COMMON_ENDINGS) or variants & COMMON_WORDS:
        return small
    return sentence if word != first else None  # a possessive: mostly somebody's


def _names_people(sentence: str) -> bool:
    people = PEOPLE.match(sentence)
    return bool(people and people[2] in DISCOVERIES.keys() | FINDINGS.keys() and not people[1].endswith(COMMON_ENDINGS))


def plain_text(raw: str) -> str:
    """``raw`` in one line, without emphasis and reference marks: those would read as citations of the passages."""
    return " ".join(_CITATION.sub("", raw).replace("**", "").split())


def _clean(text: str, start: int, end: int) -> tuple[str, int, int] | None:
    """The sentence without marker, citations and line breaks, and its span; None when it cannot stand in an answer."""
    if end - start > _LONGEST:
        return None
    raw = text[start:end]
    if marker := _LIST_MARKER.match(raw):
        start, raw = start + marker.end(), raw[marker.end() :]
    sentence = _in_third_person(plain_text(raw))
    if not _ONE_SENTENCE.match(sentence) or _UNREADABLE.search(raw) or _points_away(sentence):
        return None
    return sentence, start, end


def _points_away(sentence: str) -> bool:
    """Whether ``sentence`` needs another one; *the keys of that server* does not where the server stands before it."""
    return _POINTS_AWAY.search(sentence) is not None or any(
        match[1] not in sentence[: match.start()] for match in _OF_THAT.finditer(sentence)
    )


def _in_third_person(sentence: str) -> str:
    """*We recommend ...* as *PAPER recommends ...*; a reader of the answer does not know who *we* are."""
    if advises := _WE_ADVISE.match(sentence):
        rest = re.sub(r" and (recommend|advise|suggest|prefer) ", r" and \1s ", sentence[advises.end() :])
        return f"{PAPER} {advises[1]}s{rest}"
    return _OUR_JUDGEMENT.sub(f"According to {PAPER}, ", sentence, count=1)


def _statement(
    text: str, sentence: tuple[str, int, int], before: tuple[str, int, int] | None, paper: str
) -> Statement | None:
    plain, start, end = sentence
    answer = plain
    concludes = _CONCLUDES.match(plain) is not None
    if concludes:
        if before is None or "\n\n" in text[before[2] : start] or _STARTS_WITH_STAND_IN.match(before[0]):
            return None
        answer, start = f"{before[0]} {plain}", before[1]
        plain = _OPENS_WITH_CONCLUSION.sub(lambda match: match[1].upper(), plain, count=1)
    if _STARTS_WITH_STAND_IN.match(plain) or _ABOUT_THE_PAPER.match(plain) or _FIRST_PERSON.search(answer):
        return None
    small = decapitalise(_SHORT_FORM.sub("", plain.removesuffix(".")), text)
    return Statement(small, answer.replace(PAPER, paper), start, end, concludes) if small else None

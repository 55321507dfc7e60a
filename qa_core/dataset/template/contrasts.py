"""Two things set against each other within one paper."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.template.clauses import Clause, is_noun_phrase, parse_clause
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.patterns import COORDINATED
from qa_core.dataset.template.phrases import stem_words
from qa_core.dataset.template.sentences import Statement

_OPENING = re.compile(r"(unlike|compared with|compared to) ([^,]+), (.+)")
_OPPOSED = re.compile(r"(.+?), (?:whereas|while) (.+)")
_MEASURED = re.compile(r" (?:the same [^,;:]{1,40}? as|differs? from|than) ([^,;:]+)")
_PHRASE_ENDS = re.compile(
    r" (?:in|because|and|when|if|but|while|for|by|at|as|on|does|do|is|are|would|before|after|once) "
)  # fmt: skip
_ABOUT_SOMETHING_ELSE = re.compile(r" (?:rather|other|when|if|because|that|which|while|where|since|so|and|to|as) ")
_NO_THING = re.compile(
    r"(?:\d|half|once|twice|one\b|(?:two|three|four|five|six|seven|eight|ten)\b|a factor|others?\b|usual|expected|"
    r"necessary|needed|before|ever|all\b|those\b|what|any\b)"
    r"|.* (?:does|do|is|are|can|one|ones|first|second|other|gains?)$"
)


def contrasts(statement: Statement) -> Iterator[str]:
    for first, second, frame in _contrasts(statement.text):
        if _names_a_thing(first.subject) and _names_a_thing(second) and first.subject != second:
            yield first.ask(FRAMES["analytical"][frame].format(do=first.do, first=first.subject, second=second))


def _contrasts(text: str) -> Iterator[tuple[Clause, str, str]]:
    """The clause about the first thing, the second thing, and the frame that fits."""
    if opening := _OPENING.match(text):
        clause = parse_clause(COORDINATED.split(opening[3])[0])
        if clause:
            yield clause, opening[2], "contrast" if opening[1] == "unlike" else "comparison"
    elif opposed := _OPPOSED.fullmatch(text):
        clause, other = parse_clause(COORDINATED.split(opposed[1])[-1]), parse_clause(opposed[2])
        if clause and other and ", since " not in opposed[1] and _are_alike(clause, other):
            yield clause, other.subject, "difference"
    elif measured := _MEASURED.search(text):
        second = _PHRASE_ENDS.split(measured[1])[0]
        clause = parse_clause(COORDINATED.split(text[: measured.start(1)])[-1] + second)
        if clause and not _ABOUT_SOMETHING_ELSE.search(f" {clause.predicate} "):
            yield clause, second, "comparison"


def _are_alike(one: Clause, other: Clause) -> bool:
    """Whether two subjects are things of one sort, told by a noun or a verb that they share."""
    if " and " in one.subject + other.subject:
        return False
    nouns = [set(stem_words(clause.subject)) - {"of", "in", "with", "on", "for"} for clause in (one, other)]
    both_act = all(re.match(r"[a-z]+ing [a-z\d]", clause.subject) for clause in (one, other))
    return bool(nouns[0] & nouns[1]) or both_act or (one.verb != "" and one.verb == other.verb)


def _names_a_thing(phrase: str) -> bool:
    """Whether a phrase names a thing, rather than a number or a stand-in."""
    return not _NO_THING.match(phrase) and is_noun_phrase(phrase)

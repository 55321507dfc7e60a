"""Lists that a sentence announces with their number: *a good policy has four properties:* and the four of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.template.clauses import is_noun_phrase, is_plural, parse_clause
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.sentences import Statement, decapitalise, plain_text

_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNT = re.compile(rf"\b(?:{'|'.join(_NUMBERS)})\b")
_ITEM = r"(?:[-*+]|\d+[.)]) [^\n]+"
_ANNOUNCED_LIST = re.compile(
    rf"(?:(?<=\n\n)|(?<=[.!?] )|\A)([A-Z][^.:!?\n]*):\n\n({_ITEM}(?:\n{_ITEM})*)(?=\n\n|\n?\Z)"
)
_HAS = re.compile(
    rf"(.+?) (?:has|have|is in one of|are in one of) ({'|'.join(_NUMBERS)}) ((?:[a-z-]+ ){{0,2}}[a-z]+s)(?:,.*)?"
)
_MEMBERS = re.compile(r"([^,]+s) (?:are|include)")
_IN_WAYS = re.compile(rf"(.+) in ({'|'.join(_NUMBERS)}) (?:[a-z]+ )?ways")
_ORDERED = re.compile(r"(?:steps|stages|phases)$")


def listed_statements(text: str) -> Iterator[Statement]:
    """The announced lists that stand in ``text`` from the first to the last item."""
    for match in _ANNOUNCED_LIST.finditer(text):
        announcement, items = match.group(1), match.group(2).split("\n")
        count = _COUNT.search(announcement)
        # A list at the end may go on in the next passage; its number, where it is stated, tells.
        complete = len(items) == _NUMBERS.index(count[0]) + 2 if count else match.end() < len(text.rstrip())
        small = decapitalise(announcement, text)
        if complete and small:
            answer = "\n".join([f"{announcement}:", *(plain_text(item) for item in items)])
            yield Statement(small, answer, match.start(1), match.end())


def listed_facts(statement: Statement) -> Iterator[str]:
    """*a good policy has four properties*"""
    if (members := _MEMBERS.fullmatch(statement.text)) and len(members[1].split(" ")) > 2:
        yield FRAMES["factual"]["members"].format(subject=members[1])
    found = _HAS.fullmatch(statement.text)
    if found and not _ORDERED.search(found[3]):
        yield from _ask(FRAMES["factual"]["enumeration"], found)


def listed_steps(statement: Statement) -> Iterator[str]:
    """*a round of speculative decoding has four steps*; *allocation wastes memory in three ways*"""
    found = _HAS.fullmatch(statement.text)
    if found and _ORDERED.search(found[3]):
        yield from _ask(FRAMES["procedure"]["steps"], found)
    if (ways := _IN_WAYS.fullmatch(statement.text)) and (clause := parse_clause(ways[1])):
        yield clause.ask(FRAMES["procedure"]["ways"].format(count=ways[2], clause=clause.inverted))


def _ask(frame: str, found: re.Match[str]) -> Iterator[str]:
    subject = found[1].removeprefix("every ").removeprefix("each ")
    if is_noun_phrase(subject) and not subject.endswith(" form"):
        article = "a " if subject != found[1] else ""
        do = "do" if is_plural(article + subject) else "does"
        yield frame.format(count=found[2], things=found[3], do=do, subject=article + subject)

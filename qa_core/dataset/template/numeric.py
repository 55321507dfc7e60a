"""Counts, amounts, shares and changes: what a number in a sentence answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.template.clauses import Clause, parse_clause
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.lexicon import (
    ADVISING_VERBS,
    ANNOUNCED,
    CHANGING_VERBS,
    COUNTING_VERBS,
    DISCOVERIES,
    GOING_VERBS,
    MEASURES,
    UNITS,
)
from qa_core.dataset.template.patterns import COORDINATED, NUMBER, PEOPLE, PREPOSITIONS, TAIL, VAGUE_SUBJECT, VAGUE_WORK
from qa_core.dataset.template.sentences import Statement

_FRAMES = FRAMES["numeric"]
_COUNTED = re.compile(rf"{NUMBER} ([A-Za-z][^,;:.$]*)")
_SHARE = re.compile(rf"{NUMBER}(?:%| percent) of ([^,;:$]+)")
_MULTIPLE = re.compile(rf"{NUMBER} times (the [^,;:$]+)")
_TO = re.compile(rf"(?!from )([^,;:$]+?)( from [^,;:$]+?)? to {NUMBER}")
_BY = re.compile(rf"([^,;:$]+?) by (?:as much as )?(a factor of )?{NUMBER}(?:%| percent)?([^,;:$]*)")
_GOES = re.compile(rf"(?:from ([^,;:$]+?) )?to {NUMBER}")
_MEASURED = re.compile(
    rf"(?:an? |the )?((?:[A-Za-z][\w-]* ){{0,3}}[a-z-]+) of {NUMBER}(?:%|[ \w/.-]*?)?(?= (?!and\b)|$)(.*)"
)
_EVERY = re.compile(
    rf"(?:about |roughly )?every (?:{NUMBER} )?"
    r"(?:(?:micro|milli)?second|minute|hour|day|week|month|year|step|round)s?\b"
)
_YEAR = re.compile(r"(.+?) in (?:19|20)\d\d\b(?!-)")


def numeric(statement: Statement) -> Iterator[str]:
    yield from _years(statement.text)
    clause = parse_clause(COORDINATED.split(statement.text)[0])
    if clause is None:
        return
    for rule in (_values, _counts, _shares, _multiples, _changes, _moves, _measures, _frequencies):
        for question in rule(clause):
            yield clause.ask(question)


def _years(text: str) -> Iterator[str]:
    """*Ousterhout introduced the idea in 1982*"""
    people = PEOPLE.match(text)
    year = _YEAR.match(people[3]) if people and people[2] in DISCOVERIES else None
    if people and year and not VAGUE_WORK.match(year[1]):
        yield _FRAMES["year"].format(subject=people[1], verb=f"{DISCOVERIES[people[2]]} {year[1]}")


def _values(clause: Clause) -> Iterator[str]:
    """*the best number of lists is 4000*"""
    stated = clause.auxiliary in ("is", "are") and re.match(NUMBER, clause.predicate)
    named = r"the .* of |[^ ]+ .* (?:of|per) " if not clause.lead else r"the "
    if stated and re.match(named, clause.subject):
        yield _FRAMES["value"].format(be=clause.auxiliary, subject=clause.subject)


def _counts(clause: Clause) -> Iterator[str]:
    """*a block holds 16 tokens by default*: how many *tokens* ... *by default*."""
    counted = _COUNTED.match(clause.object)
    if counted is None or clause.verb not in COUNTING_VERBS:
        return
    words = TAIL.sub("", counted[1]).split(" ")
    end = next((i for i, word in enumerate(words) if word in PREPOSITIONS), len(words))
    head = next((i for i, word in enumerate(words[:end]) if word in ("of", "per")), end) - 1
    if head < 0 or words[head] in ANNOUNCED or re.search(r"\d|\bplus\b", " ".join(words[:end])):
        return
    if clause.verb in ADVISING_VERBS and words[:end] == [words[head]] and words[head] in UNITS:
        return  # how many MB *of what* stands elsewhere
    if words[head] in UNITS or re.search(r"[a-z]{2}(?<![sui])s$", words[head]):
        things = " ".join([*words[:head], UNITS.get(words[head], words[head]), *words[head + 1 : end]])
        verb = " ".join([clause.verb, *words[end:]])
        yield _FRAMES["count"].format(things=things, do=clause.do, subject=clause.subject, verb=verb)


def _shares(clause: Clause) -> Iterator[str]:
    """*two spare machines cost about 3% of capacity*"""
    if shared := _SHARE.match(clause.object):
        whole, setting = _split_at_preposition(TAIL.sub("", shared[1]))
        verb = f"{clause.verb} {setting}".strip()
        yield _FRAMES["share"].format(whole=whole, do=clause.do, subject=clause.subject, verb=verb)


def _multiples(clause: Clause) -> Iterator[str]:
    """*the backward pass needs 2.5 times the arithmetic of the forward pass*"""
    if multiple := _MULTIPLE.match(clause.object):
        whole = TAIL.sub("", multiple[1])
        yield _FRAMES["multiple"].format(whole=whole, do=clause.do, subject=clause.subject, verb=clause.verb)


def _changes(clause: Clause) -> Iterator[str]:
    """*reducing the delay raises the probability to 0.948*; *... raises the load by 5%*"""
    if clause.verb not in CHANGING_VERBS:
        return
    if by := _BY.match(clause.object):
        setting = TAIL.sub("", by[3]).strip()
        verb = " ".join(part for part in (clause.verb, by[1], setting) if part)
        yield _FRAMES["factor" if by[2] else "change"].format(do=clause.do, subject=clause.subject, verb=verb)
    elif to := _TO.match(clause.object):
        frame = _FRAMES["change" if to[2] else "target"]
        yield frame.format(do=clause.do, subject=clause.subject, verb=f"{clause.verb} {to[1]}")


def _moves(clause: Clause) -> Iterator[str]:
    """*the overhead falls to 2.6%*"""
    goes = _GOES.match(clause.object)
    if goes and clause.verb in GOING_VERBS and not VAGUE_SUBJECT.fullmatch(clause.subject):
        verb = f"{clause.verb} from {goes[1]}" if goes[1] else clause.verb
        yield _FRAMES["target"].format(do=clause.do, subject=clause.subject, verb=verb)


def _measures(clause: Clause) -> Iterator[str]:
    """*OPT-13B has a head dimension of 128*"""
    measured = _MEASURED.match(clause.object)
    if measured is None or measured[1].split(" ")[-1] not in MEASURES or clause.auxiliary not in ("do", "does"):
        return
    setting = TAIL.sub("", measured[2]).strip()
    if not re.match(r"(?:for|in|at|on|per|with|as|to|during|under) ", setting + " "):
        setting = ""
    verb = f"{clause.verb} {setting}".strip()
    yield _FRAMES["measure"].format(measure=measured[1], do=clause.do, subject=clause.subject, verb=verb)


def _frequencies(clause: Clause) -> Iterator[str]:
    """*a job on 1,024 machines fails about every 48.8 hours*"""
    if clause.verb and _EVERY.match(clause.object):
        yield _FRAMES["frequency"].format(do=clause.do, subject=clause.subject, verb=clause.verb)


def _split_at_preposition(text: str) -> tuple[str, str]:
    words = text.split(" ")
    end = next((i for i, word in enumerate(words) if word in PREPOSITIONS), len(words))
    return " ".join(words[:end]), " ".join(words[end:])

"""Conditions and changes with their consequence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.prompts import FRAMES
from qa_core.dataset.template.clauses import Clause, is_noun_phrase, parse_clause
from qa_core.dataset.template.lexicon import REQUIRING_VERBS
from qa_core.dataset.template.patterns import COORDINATED
from qa_core.dataset.template.sentences import Statement

_CONDITION_FIRST = re.compile(r"(?:.+[;:] )?(if|when) (?:([^;:]+?), then |([^,;:]+), )")
_CONDITION_LAST = re.compile(r"(.+)(?<!even)(?<!as)(?<!only)(?<!or) (if|when) ([^,;:]+)(.*)")
_ABSENCE = re.compile(r"without ([^,]+), ")
_ACTION = re.compile(
    r"(?!computing|knowing|comparing|answering)(?:[a-z]+ly )?[a-z]{2,}ing (?:the|an?|each|every|all|both)\b"
)
_CONDITION_ENDS = re.compile(r" (?:because|so that|and (?:the|an?|its?)) ")
_PASSIVE = re.compile(r"(?:the|an?|all|every|each|two|both)\b.* (?:is|are|was|were) ")
_HAPPENS = re.compile(r"(?:not )?(?:\w+ly )?\w+ed\b")


def hypothetical(statement: Statement) -> Iterator[str]:
    text = statement.text
    if first := _CONDITION_FIRST.match(text):
        yield from _conditions(first[1], first[2] or first[3])
    elif (last := _CONDITION_LAST.fullmatch(text)) and _is_event(parse_clause(COORDINATED.split(last[1])[-1])):
        yield from _conditions(last[2], _CONDITION_ENDS.split(last[3])[0])
    if (absence := _ABSENCE.match(text)) and is_noun_phrase(absence[1]):
        yield FRAMES["condition"].format(condition=f"without {absence[1]}")
    clause = parse_clause(COORDINATED.split(text)[0])
    if clause and clause.verb and clause.verb not in REQUIRING_VERBS and _ACTION.match(clause.subject):
        yield clause.ask(FRAMES["effect"].format(action=clause.subject))


def _conditions(word: str, condition: str) -> Iterator[str]:
    if parse_clause(condition.split(" and ")[0]) or _PASSIVE.match(condition):
        yield FRAMES["condition"].format(condition=f"{word} {condition}")


def _is_event(clause: Clause | None) -> bool:
    """Whether the clause tells of something that happens, rather than of how something is."""
    if clause is None:
        return False
    return bool(clause.verb or clause.auxiliary in ("can", "must", "may", "would") or _HAPPENS.match(clause.predicate))

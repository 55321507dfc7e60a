"""Conditions and changes with their consequence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.template.clauses import Clause, is_noun_phrase, parse_clause
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.lexicon import REQUIRING_VERBS
from qa_core.dataset.template.patterns import COORDINATED
from qa_core.dataset.template.sentences import PAPER, Statement

_FRAMES = FRAMES["hypothetical"]
_CONDITION_FIRST = re.compile(r"(?:.+[;:] )?(if|when) (?:([^;:]+?), then |([^,;:]+), )")
_CONDITION_LAST = re.compile(r"(.+)(?<!even)(?<!as)(?<!only)(?<!or) (if|when) ([^,;:]+)(.*)")
_ABSENCE = re.compile(r"without ([^,]+), ")
_ACTION = re.compile(
    r"(?!computing|knowing|comparing|answering)(?:[a-z]+ly )?[a-z]{2,}ing (?:the|an?|each|every|all|both)\b"
)
_CONDITION_ENDS = re.compile(r" (?:because|so that|and (?:the|an?|its?)) ")
_PASSIVE = re.compile(r"(?:the|an?|all|every|each|two|both)\b.* (?:is|are|was|were) ")
_STATE = re.compile(r"(?:become|remain|stay|get|grow|fall|rise|stop|perform) |[a-z]+ [a-z]+ly(?: |$)")
_HAPPENS = re.compile(r"(?:not )?(?:\w+ly )?\w+ed\b")


def hypothetical(statement: Statement) -> Iterator[str]:
    text = statement.text
    if first := _CONDITION_FIRST.match(text):
        condition = f"{first[1]} {first[2] or first[3]}"
        if _is_condition(condition):
            yield _FRAMES["condition"].format(condition=condition)
    elif (last := _CONDITION_LAST.fullmatch(text)) and not re.search(r", (?:which|where|who|so that)\b", last[1]):
        clause = parse_clause(COORDINATED.split(last[1])[-1])
        condition = f"{last[2]} {_CONDITION_ENDS.split(last[3])[0]}"
        if clause and _is_event(clause) and _is_condition(condition) and clause.subject != PAPER:
            yield _consequence(clause, condition)
    if (absence := _ABSENCE.match(text)) and is_noun_phrase(absence[1]):
        yield _FRAMES["condition"].format(condition=f"without {absence[1]}")
    clause = parse_clause(COORDINATED.split(text)[0])
    if clause and clause.verb and clause.verb not in REQUIRING_VERBS and _ACTION.match(clause.subject):
        yield clause.ask(_FRAMES["effect"].format(action=clause.subject))


def _is_condition(condition: str) -> bool:
    word, _, rest = condition.partition(" ")
    return word in ("if", "when") and bool(parse_clause(rest.split(" and ")[0]) or _PASSIVE.match(rest))


def _consequence(clause: Clause, condition: str) -> str:
    """*a candidate becomes leader when ...*: what happens to a candidate when ...; without its subject the question
    could be about anything."""
    frame = _FRAMES["act" if clause.object and not _STATE.match(clause.predicate) else "fate"]
    return clause.ask(frame.format(do=clause.do, subject=clause.subject, condition=condition))


def _is_event(clause: Clause) -> bool:
    """Whether the clause tells of something that happens, rather than of how something is."""
    if clause.verb in ("help", "suit"):
        return False
    return bool(clause.verb or clause.auxiliary in ("can", "must", "may", "would") or _HAPPENS.match(clause.predicate))

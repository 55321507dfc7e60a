"""How something is done: by what means, in what steps, in what manner."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.template.clauses import Clause, parse_clause
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.lexicon import (
    ACTING_VERBS,
    BASE_OF_THIRD_PERSON,
    DIVIDING_VERBS,
    METHOD_VERBS,
    TELLING_ACTS,
)
from qa_core.dataset.template.patterns import COORDINATED
from qa_core.dataset.template.sentences import Statement

_FRAMES = FRAMES["procedure"]
_MEANS = re.compile(r"(.+?) by (?:means of|[a-z]+ing) .+")
_WITH_MEANS = re.compile(r"(.+?) (?:by|through|via|using|with)(?! probability) (?:an?|the|[a-z-]+s?) [^,;:]+")
_INTO = re.compile(r"([^,;:]+?) (?:into|to) [^,;:]+")
_ASIDE = re.compile(r"[,:;]| (?:because|if|when|so|never|not) ")
_DONE = re.compile(
    r"(?:(?:usually|normally|commonly|often|best|then|first|simply|only) )*(?:be )?"
    r"(absorbed|approximated|assigned|avoided|built|calculated|checked|chosen|combined|compressed|computed|defined|"
    r"derived|detected|determined|divided|done|drawn|encoded|estimated|expressed|identified|initialised|"
    r"judged|measured|merged|obtained|placed|quantised|recomputed|reconstructed|recovered|represented|sampled|scored|"
    r"selected|served|shared|split|stored|trained) "
    r"(?:(?:by|as|from|with|in|at|for|on|to|into|through) (?!(?:advance|the same|this|find|make|keep|get)\b)"
    r"|[a-z]+ly\b)"
)
_ACTOR = re.compile(r"(?:the|an?|each|every|one|some) |.*\b(?:authors|colleagues|users?|al\.)|two |three ")
"""Who acts, rather than a method that works in some way."""
_NAMES_A_METHOD = re.compile(
    r"^[^ ]*[A-Z]|(?:ing|tion|ment|search|choice|robin|connections|lookup|reduce|fusion|hash|-[a-z]+)$"
)
_VAGUE_OBJECT = re.compile(
    r"(?:the|this|that|an?|its|each) (?:(?:problem|effect|issue|cost|other|term|result|most)s?|range(?: of .+)?)"
)
_NEXT_ACTION = re.compile(r"(?:,? (?:and|but) (?:then |therefore )?(?=[a-z]+s )|, )")
_FIRST = re.compile(r"(?:therefore )?first [a-z]+ .+")


def procedure(statement: Statement) -> Iterator[str]:
    yield from _means(statement.text)
    yield from _working(statement.text)
    clause = parse_clause(COORDINATED.split(statement.text)[0])
    if clause is not None:
        for question in (*_manners(clause), *_divisions(clause), *_first_steps(clause)):
            yield clause.ask(question)


def _means(text: str) -> Iterator[str]:
    """*the extension prevents disturbance by requiring ...*; *vLLM identifies a block by a hash*"""
    by_doing = _MEANS.fullmatch(text)
    means = by_doing or _WITH_MEANS.match(text)
    if means is None or _ASIDE.search(means[1]):
        return
    clause = parse_clause(means[1])
    if clause is None or not clause.object or clause.verb == "go" or " and " in clause.object:
        return
    if (by_doing or clause.verb in METHOD_VERBS) and not _VAGUE_OBJECT.fullmatch(clause.object):
        yield clause.ask(_FRAMES["means"].format(clause=clause.inverted))


def _working(text: str) -> Iterator[str]:
    """*First-fit decreasing sorts the items and puts each one into the first bin with room.*"""
    first, *rest = _NEXT_ACTION.split(text, maxsplit=1)
    clause = parse_clause(first)
    if clause is None or clause.lead or clause.verb not in ACTING_VERBS or len(clause.object.split(" ")) < 4:
        return
    then = BASE_OF_THIRD_PERSON.get(rest[0].split(" ")[0]) if rest else None
    if then not in ACTING_VERBS and clause.verb not in TELLING_ACTS:
        return
    if not _ACTOR.match(clause.subject) and _NAMES_A_METHOD.search(clause.subject):
        yield _FRAMES["working"].format(do=clause.do, subject=clause.subject)


def _divisions(clause: Clause) -> Iterator[str]:
    """*FSDP groups the layers into units*"""
    into = _INTO.match(clause.object)
    if into and clause.verb in DIVIDING_VERBS and not _VAGUE_OBJECT.fullmatch(into[1]):
        yield _FRAMES["means"].format(clause=f"{clause.do} {clause.subject} {clause.verb} {into[1]}")


def _manners(clause: Clause) -> Iterator[str]:
    """*recall is measured by ...*; *a filter should be applied during ...*"""
    done = _DONE.match(clause.predicate)
    if done is None or clause.auxiliary not in ("is", "are", "can", "must", "should"):
        return
    if not clause.subject.startswith("no ") and not _VAGUE_OBJECT.fullmatch(clause.subject):
        verb = done[1] if clause.auxiliary in ("is", "are") else f"be {done[1]}"
        yield _FRAMES["manner"].format(clause=f"{clause.auxiliary} {clause.subject} {verb}")


def _first_steps(clause: Clause) -> Iterator[str]:
    """*a leader must first confirm its leadership*"""
    if clause.auxiliary in ("must", "should") and _FIRST.match(clause.predicate):
        yield _FRAMES["first"].format(modal=clause.auxiliary, subject=clause.subject)

"""Definitions, attributions, properties and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.prompts import FRAMES
from qa_core.dataset.template.clauses import Clause, is_noun_phrase, parse_clause
from qa_core.dataset.template.lexicon import (
    ANNOUNCED,
    CHANGING_VERBS,
    CONTENT_VERBS,
    COUNTING_VERBS,
    DISCOVERIES,
    FINDINGS,
    UNITS,
)
from qa_core.dataset.template.patterns import COORDINATED, NUMBER, PREPOSITIONS, TAIL
from qa_core.dataset.template.sentences import Statement

_DEFINITION = re.compile(r"((?:(?:an?|the) )?[^,]{2,60}?) (is|are) (?:an?|the|any|one of the) ([a-z].+)")
_EXPLAINS = re.compile(r" (?:that|which|who|whose|where|of|for|in|with|to)\b| [a-z]+ed ")
_JUDGES = re.compile(
    r"(?:usual|best|opposite|classical|same|only|right|central|main|first|second|third|last|natural|most|simple|simplest|"
    r"better|good|poor|compromise|trade|trade-off|gamble|choice|problem|reason|common|cheap|large|small|single|key|"
    r"result|sensible|special|standard|chain|consequence|matter|sum|product|"
    r"larger|smaller|faster|slower|cheaper|higher|lower|longer|shorter|stronger|weaker|simpler|safer|harder|easier)\b"
)
"""*X is the usual choice* says what X is worth, not what it is."""
_NAME = r"[A-Z][a-zé]+(?:[A-Z][a-z]+)?"
_PEOPLE = re.compile(rf"({_NAME}(?:(?:, {_NAME})* and {_NAME}| et al\.)?(?: and colleagues)?) (\w+) (.+)")
"""``Dean and Barroso``, ``Fischer, Lynch and Paterson``, ``Shoeybi et al.``, then a verb and the rest."""
_DONE = re.compile(
    r"(?:usually |normally |commonly |often )?(computed|measured|defined|chosen|drawn|estimated|determined|obtained|"
    r"calculated|derived|represented|encoded|stored|assigned|selected|divided|built|trained|compared|placed|initialised|"
    r"reconstructed|quantised|expressed|split|scored|judged) (?:by|as|from|with|in|at|for|on|to|into) "
)
_COUNTED = re.compile(rf"{NUMBER} ([A-Za-z][^,;:.$]*)")
_CHANGED = re.compile(rf"(?!from )([^,;:$]+?)( from [^,;:$]+?)? to {NUMBER}")
_VAGUE_SUBJECT = re.compile(r"(?:the|an?|each|every) [a-z-]+|[a-z]+|(?:two|three|four|five) .+")
_VAGUE_OBJECT = re.compile(rf"{NUMBER}|(?:only|for|in|at|on|with) ")


def factual(statement: Statement) -> Iterator[str]:
    yield from _definitions(statement.text)
    yield from _attributions(statement.text)
    clause = parse_clause(COORDINATED.split(statement.text)[0])
    if clause is not None:
        for question in (*_values(clause), *_counts(clause), *_changes(clause), *_contents(clause), *_manners(clause)):
            yield clause.ask(question)


def _definitions(text: str) -> Iterator[str]:
    """*A quorum is any set that ...*"""
    definition = _DEFINITION.fullmatch(text)
    if definition is None:
        return
    term, be, meaning = definition.groups()
    names_a_thing = len(term.split(" ")) <= 6 and is_noun_phrase(term) and not re.match(r"[a-z]+ing (?:an?|the) ", term)
    if names_a_thing and parse_clause(f"{term} is so") and _EXPLAINS.search(meaning) and not _JUDGES.match(meaning):
        yield FRAMES["definition"].format(be=be, subject=term)


def _attributions(text: str) -> Iterator[str]:
    """*Ongaro and Ousterhout designed Raft*; *Howard and Mortier concluded that ...*"""
    if people := _PEOPLE.match(text):
        names, verb, rest = people.groups()
        if verb in DISCOVERIES:
            yield FRAMES["attribution"].format(predicate=f"{verb} {TAIL.sub('', rest)}")
        elif verb in FINDINGS:
            yield FRAMES["finding"].format(subject=names, verb=FINDINGS[verb])


def _values(clause: Clause) -> Iterator[str]:
    """*the best number of lists is 4000*"""
    stated = clause.auxiliary in ("is", "are") and re.match(NUMBER, clause.predicate)
    if stated and re.match(r"the .* of ", clause.subject):
        yield FRAMES["definition"].format(be=clause.auxiliary, subject=clause.subject)


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
    if words[head] in UNITS or re.search(r"[a-z]{2}(?<![sui])s$", words[head]):
        things = " ".join([*words[:head], UNITS.get(words[head], words[head]), *words[head + 1 : end]])
        verb = " ".join([clause.verb, *words[end:]])
        yield FRAMES["count"].format(things=things, do=clause.do, subject=clause.subject, verb=verb)


def _changes(clause: Clause) -> Iterator[str]:
    """*reducing the delay raises the probability to 0.948*"""
    changed = _CHANGED.match(clause.object)
    if changed and clause.verb in CHANGING_VERBS:
        frame = FRAMES["change" if changed[2] else "target"]
        yield frame.format(do=clause.do, subject=clause.subject, verb=f"{clause.verb} {changed[1]}")


def _contents(clause: Clause) -> Iterator[str]:
    """*the election restriction states that ...*; *a token tree contains ...*"""
    states = clause.verb in ("state", "say") and clause.object.startswith("that ")
    contains = clause.verb in CONTENT_VERBS and clause.object and clause.auxiliary in ("do", "does")
    if not states and (not contains or _VAGUE_SUBJECT.fullmatch(clause.subject) or _VAGUE_OBJECT.match(clause.object)):
        return
    verb = "consist of" if clause.verb == "consist" else clause.verb
    yield FRAMES["object"].format(do=clause.do, subject=clause.subject, verb=verb)


def _manners(clause: Clause) -> Iterator[str]:
    """*recall is measured by ...*"""
    done = _DONE.match(clause.predicate)
    if done and clause.auxiliary in ("is", "are") and not _VAGUE_SUBJECT.fullmatch(clause.subject):
        yield FRAMES["manner"].format(clause=f"{clause.auxiliary} {clause.subject} {done[1]}")

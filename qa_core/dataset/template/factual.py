"""Attributions, findings, contents, causes by name and what a paper recommends."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.template.clauses import Clause, is_noun_phrase, parse_clause
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.lexicon import (
    ADVISING_VERBS,
    AGENT_VERBS,
    CONTENT_VERBS,
    DISCOVERIES,
    DUTY_VERBS,
    FINDINGS,
    TURNING_VERBS,
)
from qa_core.dataset.template.patterns import COORDINATED, NUMBER, PEOPLE, TAIL, VAGUE_SUBJECT, VAGUE_WORK
from qa_core.dataset.template.sentences import PAPER, Statement

_FRAMES = FRAMES["factual"]
_VAGUE_OBJECT = re.compile(
    rf"{NUMBER}|(?:only|for|in|at|on|with|no|not|to|that|by|as|from|into|over|what|how|it|them) "
    r"|(?:the|its|their|an?) (?:problem|question|method|effect|idea|network|others?)(?: |$)"
    r"|(?:more|several|many|some|two|three) [a-z-]+(?: [a-z-]+)?$"
)
_TELLING_TAIL = re.compile(
    r"(.+?) ((?:into|by|to|as|at|on|in|for|during|below|above|under|instead of|when|if|while) .+)"
)
"""What a thing is put into, replaced by or recommended for narrows the question down."""
_ADVISED_MOMENT = re.compile(r"([a-z]+ing(?: [^,;:]+?)??)(?: only)? (?:after|before|when|once|above|below|whenever) ")
_PLACE = re.compile(r"([^,;:]+?) (?:in|on|inside) (?:the |an? )?[a-z][a-z-]+")
_PLACING_VERBS = frozenset(("place", "store", "keep", "hold", "write", "put"))
_VAGUE_TARGET = re.compile(
    r"(?:the|an?|its|their|this|that) [\w-]+$|(?:it|them|many|some|what|how|only|that|its|their|no|why|most)\b"
)
_OBJECT_ENDS = re.compile(
    r"(?:[,;:](?!\d)| (?:because|so that|whereas|while|although|but|which|when|if|after|unless|by [a-z]+ing|only) ?).*"
)
_NO_PLAIN_OBJECT = re.compile(r"[,;:](?!\d)|\b(?:and|or|but|that|which|because|so|when|if)\b")
_AND_DOES = re.compile(r" and (?:[a-z]+) (?:the|an?|each|every|its|their|it)\b.*")
_PARTICLES = {"consist": "of", "depend": "on", "rely": "on", "suffer": "from"}


def factual(statement: Statement) -> Iterator[str]:
    yield from _attributions(statement.text)
    clause = parse_clause(COORDINATED.split(statement.text)[0])
    if clause is not None and not clause.subject.startswith("no "):
        for rule in (_contents, _results, _duties, _recommendations, _places, _agents):
            for question in rule(clause):
                yield clause.ask(question)


def _attributions(text: str) -> Iterator[str]:
    """*Ongaro and Ousterhout designed Raft*; *Howard and Mortier concluded that ...*"""
    if people := PEOPLE.match(text):
        names, verb, rest = people.groups()
        if verb in DISCOVERIES and not VAGUE_WORK.match(rest):
            yield _FRAMES["attribution"].format(predicate=f"{verb} {TAIL.sub('', rest)}")
        elif verb in FINDINGS:
            yield _FRAMES["finding"].format(subject=names, verb=FINDINGS[verb])


def _contents(clause: Clause) -> Iterator[str]:
    """*the election restriction states that ...*; *a token tree contains ... at each position*"""
    if clause.auxiliary not in ("do", "does"):
        return
    if clause.verb in ("state", "say") and clause.object.startswith("that "):
        yield _what(clause, clause.verb)
    elif clause.verb in CONTENT_VERBS and not VAGUE_SUBJECT.fullmatch(clause.subject):
        particle = _PARTICLES.get(clause.verb, "")
        rest = clause.object.removeprefix(f"{particle} ")
        if bool(particle) == (rest != clause.object) and rest and not _VAGUE_OBJECT.match(rest):
            tail = "" if particle or ", " in rest.split(", so")[0] else _tail(rest)
            yield _what(clause, f"{clause.verb} {particle}".strip(), tail)


def _results(clause: Clause) -> Iterator[str]:
    """*HNSW turns search into a walk*: what does HNSW turn search into."""
    result = re.match(r"([^,;:]+?) (into|to) [^,;:]+", clause.object)
    if result and clause.verb in TURNING_VERBS and not _VAGUE_TARGET.match(result[1]):
        yield _what(clause, clause.verb, f"{result[1]} {result[2]}")


def _duties(clause: Clause) -> Iterator[str]:
    """*a sharded checkpoint must record how tensors were divided*"""
    verb, _, rest = clause.predicate.partition(" ")
    known = (CONTENT_VERBS | DUTY_VERBS) - _PARTICLES.keys()
    told = rest.startswith("how ") or (rest and not _VAGUE_OBJECT.match(rest))
    if clause.auxiliary in ("must", "should") and verb in known and told:
        verb = f"{verb} {_tail(rest)}".strip()
        yield _FRAMES["duty"].format(modal=clause.auxiliary, subject=clause.subject, verb=verb)


def _recommendations(clause: Clause) -> Iterator[str]:
    """*PAPER recommends flat search below 10,000 vectors*; *PAPER recommends hedging after ...*"""
    if clause.verb not in ADVISING_VERBS or clause.subject != PAPER or clause.object.startswith(("that ", "with ")):
        return
    if moment := _ADVISED_MOMENT.match(clause.object):
        yield _FRAMES["moment"].format(do=clause.do, subject=clause.subject, verb=f"{clause.verb} {moment[1]}")
    elif (tail := _tail(clause.object)) and not re.match(rf"{NUMBER} [A-Z]|[a-z]+ing |.* on ", clause.object):
        yield _what(clause, clause.verb, tail)


def _places(clause: Clause) -> Iterator[str]:
    """*GEMINI places replicas in the memory of peer machines*"""
    place = _PLACE.match(clause.object)
    if place is None or clause.verb not in _PLACING_VERBS or VAGUE_SUBJECT.fullmatch(clause.subject):
        return
    if not re.match(rf"{NUMBER}|.* (?:that|which)\b", place[1]):
        yield _FRAMES["place"].format(do=clause.do, subject=clause.subject, verb=f"{clause.verb} {place[1]}")


def _agents(clause: Clause) -> Iterator[str]:
    """*randomisation makes split votes rare*: what makes split votes rare."""
    target = _OBJECT_ENDS.sub("", clause.object)
    if clause.verb not in AGENT_VERBS or clause.lead or _VAGUE_TARGET.match(target):
        return
    whole = re.search(r" (?!and|or|where)[^ ]+$", target)
    if whole and is_noun_phrase(clause.subject) and not re.fullmatch(r"(?:the|each|every) [a-z-]+", clause.subject):
        yield _FRAMES["agent"].format(predicate=f"{AGENT_VERBS[clause.verb]} {target}")


def _what(clause: Clause, verb: str, tail: str = "") -> str:
    verb = f"{verb} {tail}".strip()
    return _FRAMES["object"].format(do=clause.do, subject=clause.subject, verb=verb)


def _tail(words: str) -> str:
    """What follows the object, up to the next thing; empty where the object itself would be in it."""
    tail = _TELLING_TAIL.match(words)
    if tail is None or _NO_PLAIN_OBJECT.search(tail[1]) or tail[2].startswith("as such"):
        return ""
    ends = TAIL if tail[2].startswith("for ") else _OBJECT_ENDS
    return _AND_DOES.sub("", ends.sub("", tail[2]) or tail[2])

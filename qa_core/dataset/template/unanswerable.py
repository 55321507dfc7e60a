"""Questions about a thing of the passage that the passage leaves open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qa_core.dataset.attributes import ATTRIBUTES
from qa_core.dataset.template.clauses import is_plural, parse_clause
from qa_core.dataset.template.definition import definition_parts
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.lexicon import DISCOVERIES, FINDINGS
from qa_core.dataset.template.rules import is_askable
from qa_core.dataset.template.sentences import PAPER, Statement
from qa_core.dataset.unanswered import answered_by
from qa_core.manifest import digest

_NOUNS_OF_KINDS: dict[tuple[str, ...], str] = {
    ("method",): "method technique scheme policy strategy protocol practice process approach variant heuristic "
    "procedure operation form model family problem style",
    ("method", "algorithm"): "algorithm",
    ("system",): "program component service scheduler engine",
    ("named",): "library framework format",
    ("encoder",): "network encoder",
    ("structure",): "array table graph tree space index file code matrix group set block pair list copy",
    ("quantity",): "number ratio length rate average time size count",
    ("quantity", "share"): "fraction share probability",
}
_KINDS_OF_GENUS = {noun: kinds for kinds, nouns in _NOUNS_OF_KINDS.items() for noun in nouns.split()}
_GENUS_ENDS = re.compile(
    r" (?:that|which|who|whose|where|of|for|in|with|to|on|by|from|under|as|at|between|divided|called)\b.*|,.*"
)
_NAME = re.compile(r"(?:[A-Z][\w.-]*[A-Z\d][\w-]*|[A-Z][a-z]{3,}[\w-]*|[a-z]+[A-Z]\w*)(?:'s [A-Z][\w-]+)?")
_ONE_WORD = re.compile(r"(?:an? |the )?[a-z]+")
_EVERYDAY = re.compile(r"(?:an? |the )?[a-z]+(?<!ing)")
"""*a block*, *locality*: words that nobody invented; *prefetching* is a method with an origin."""
_MOST_ATTRIBUTES = 2
_ACTS = re.compile(
    r"add|avoid|build|evict|exploit|expose|extend|gather|give|group|identify|keep|launch|need|offer|place|prefetch"
    r"|provide|replace|report|return|run|schedule|select|shard|show|start|store|support|train|use"
)
"""What a system does: others that a sentence names may be people, units or models."""
_MADE_BY = re.compile(rf"\b(?:{'|'.join([*DISCOVERIES, *FINDINGS])})\b")
_NOT_A_SYSTEM = re.compile(r"[A-Z]|[A-Z][a-z]+ian|[A-Z]\d+(?:_\w+)*|(?:GPU|CPU|HBM|SRAM|Adam)s?")


@dataclass(frozen=True)
class Open:
    """A question that stays open, and the answer that says so."""

    question: str
    answer: str
    vague: bool
    """Whether the thing's name means something else in another paper."""


def unanswerable(statement: Statement, text: str) -> Iterator[Open]:
    """Open questions about the thing that ``statement`` is about; ``text`` is the whole passage.

    At most two attributes a thing, picked by its name: asked for every attribute, a thing would fill the quota alone.
    """
    thing = _thing(statement)
    if thing is None or PAPER in statement.text:
        return
    name, kinds = thing
    words = _agreement(name)
    asked = 0
    for attribute in sorted(ATTRIBUTES, key=lambda attribute: digest([name, attribute.name])):
        question = attribute.question.format(**words)
        if asked == _MOST_ATTRIBUTES or not attribute.kinds & set(kinds) or not is_askable(question):
            continue
        if answered_by(question, [text]) is None:
            asked += 1
            missing = attribute.missing.format(**words)
            answer = FRAMES["unanswerable"]["answer"].format(missing=missing, statement=statement.text)
            yield Open(question, answer, _ONE_WORD.fullmatch(name) is not None)


def _thing(statement: Statement) -> tuple[str, tuple[str, ...]] | None:
    """What is defined and its kinds, or a system that is named; None where there is neither."""
    if defined := definition_parts(statement.text):
        term, _, meaning = defined
        genus = _GENUS_ENDS.sub("", meaning).split(" ")[-1]
        kinds = _KINDS_OF_GENUS.get(genus)
        return (term, kinds) if kinds and not _EVERYDAY.fullmatch(term) else None
    clause = parse_clause(statement.text)
    if clause is None or not _NAME.fullmatch(clause.subject) or _NOT_A_SYSTEM.fullmatch(clause.subject):
        return None
    if clause.lead or not _ACTS.fullmatch(clause.verb) or _MADE_BY.search(statement.text):
        return None
    return clause.subject, ("named",)


def _agreement(name: str) -> dict[str, str]:
    """What the frames' gaps are filled with: the thing, without its article, and verbs in its number."""
    singular = {"is": "is", "was": "was", "does": "does", "uses": "uses", "runs": "runs"}
    plural = {"is": "are", "was": "were", "does": "do", "uses": "use", "runs": "run"}
    verbs = plural if is_plural(name) else singular
    return {"thing": name, "bare": re.sub(r"^(?:an?|the) ", "", name), **verbs}

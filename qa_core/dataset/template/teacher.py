"""The rule-based teacher: it answers a request as a language model would, and needs none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

from qa_core.dataset.proposals import Proposal, Quote, reply_text
from qa_core.dataset.requests import Request, Source
from qa_core.dataset.template.comparative import comparative
from qa_core.dataset.template.frames import IN_CONTEXT
from qa_core.dataset.template.lists import listed_statements
from qa_core.dataset.template.rules import questions
from qa_core.dataset.template.sentences import PAPER, Statement, quoted, statements
from qa_core.dataset.template.unanswerable import unanswerable
from qa_core.terms import is_technical, tokenize

_DEFINITE = re.compile(
    r"^(?:[a-z][^,]*, )?(?:why|how|what|to what value|by how much|how many [^,]*?)(?: happens)? "
    r"(?:if|when|is|are|can|cannot|must|may|should|would|could|will|does|do|did|has|have|had|was|were) the "
    r"(?!(?:[\w-]+ ){1,4}(?:of|that|which|in|for|between) )"
    r"|\b(?:between|and|with|from) the [\w-]+(?: and\b|$)"
    r"| (?:do|does|can|is|must) (?:each|every) [\w-]+ [\w-]+$"
)
"""Speaks of *the* something that only the paper's topic makes clear."""
_BROAD_TERM = re.compile(r"what (?:(?:is|are) (?:an? )?[a-z]+|does [a-z]+ mean)")
"""One everyday word, such as *a term*, means something else in the next paper."""
_OPEN_ENDED = re.compile(
    r"(?:why|what did|what happens|what does .+ do (?:if|when)|where|how (?:is|are|can|should|must)) "
    r"|what (?!does|is|was|has)[a-z]+s "
)
_TELLING_WORDS = 14
"""An open-ended question of fewer words seldom names what it is about, unless one of them is a name or a number."""
_ONE_OF_MANY = re.compile(
    r"\b(?:do|does|is|are|can|must|should) (?:(?:each|every|one|another|all|some|the) (?!(?:[\w-]+ ){1,4}of )"
    r"|(?:stage|step|phase|layer|level|version|type|rule|user)s? \d)"
)
"""*every server*, *stage 1*: of which the paper has several."""


@dataclass(frozen=True)
class _Draft:
    """A proposal and the place of its sentence among those of the passage."""

    proposal: Proposal
    place: int


class TemplateTeacher:
    """Puts the sources' own sentences into question frames; a reply depends on the request and the seed alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def reply(self, request: Request) -> str:
        """At most ``num_questions`` proposals as the JSON that a language model is asked for.

        A repeated request (``attempt`` above 0) gets the next ones, and none when there are no more.
        """
        if request.question_type == "comparative":
            proposals = list(comparative(*_two(request.sources)))
        else:
            proposals = self._in_turns(_drafts(request.question_type, *request.sources))
        start = request.attempt * request.num_questions
        return reply_text(proposals[start : start + request.num_questions])

    def _in_turns(self, drafts: tuple[_Draft, ...]) -> list[Proposal]:
        """One proposal of every sentence before a second of any, in seeded order."""
        ordered = sorted(drafts, key=lambda draft: self._draw(draft.proposal))
        turns: dict[int, Iterator[int]] = {}
        turn = {id(draft): next(turns.setdefault(draft.place, count())) for draft in ordered}
        return [draft.proposal for draft in sorted(ordered, key=lambda draft: turn[id(draft)])]

    def _draw(self, proposal: Proposal) -> str:
        # A hash of the content, so that neither the order of requests nor the number of workers matters.
        return hashlib.sha256(f"{self.seed}\0{proposal.to_json()}".encode()).hexdigest()


def _two(sources: tuple[Source, ...]) -> tuple[Source, Source]:
    if len(sources) != 2:
        raise ValueError(f"a comparative request needs two sources, not {len(sources)}")
    return sources[0], sources[1]


def _drafts(question_type: str, source: Source) -> tuple[_Draft, ...]:
    """Nothing from tables, code and formulas: their rows are no sentences."""
    if source.kind not in ("prose", "list"):
        return ()
    return _drafts_by_type(source.text, source.title).get(question_type, ())


@lru_cache(maxsize=1024)
def _drafts_by_type(text: str, title: str) -> dict[str, tuple[_Draft, ...]]:
    """What can be asked of one passage. Cached, since it is asked for one type after the other."""
    drafts: dict[str, list[_Draft]] = {}
    place = count()
    for listed, found in ((False, statements(text, title)), (True, tuple(listed_statements(text)))):
        for statement in found:
            number = next(place)
            for kind, question in questions(statement, listed):
                proposal = _proposal(in_full(question, title), statement.answer, statement, text)
                drafts.setdefault(kind, []).append(_Draft(proposal, number))
    for statement in statements(text, title):
        number = next(place)
        for opened in unanswerable(statement, text):
            proposal = _proposal(in_full(opened.question, title, opened.vague), opened.answer, statement, text)
            drafts.setdefault("unanswerable", []).append(_Draft(proposal, number))
    return {kind: tuple(found) for kind, found in drafts.items()}


def _proposal(question: str, answer: str, statement: Statement, text: str) -> Proposal:
    return Proposal(question, answer, (Quote(1, text[statement.start : statement.end]),))


def in_full(question: str, title: str, vague: bool = False) -> str:
    """``question`` with its capital letter and question mark and, where it needs one, the paper's topic."""
    if PAPER not in question and (vague or _is_vague(question)):
        question = IN_CONTEXT.format(topic=title.split(": ")[0], question=question)
    question = question.replace(PAPER, quoted(title))
    return f"{question[0].upper()}{question[1:]}?"


def _is_vague(question: str) -> bool:
    """Whether only the paper's topic makes clear what is asked."""
    if _DEFINITE.search(question) or _BROAD_TERM.fullmatch(question) or _ONE_OF_MANY.search(question):
        return True
    words = tokenize(question)
    return bool(
        _OPEN_ENDED.match(question) and len(words) < _TELLING_WORDS and not any(is_technical(word) for word in words)
    )

"""One matter that two papers speak about: what each of them says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.proposals import Proposal, Quote
from qa_core.dataset.requests import Source
from qa_core.dataset.template.clauses import parse_clause
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.matters import Match, Side, is_clear, is_worth_comparing, match
from qa_core.dataset.template.patterns import COORDINATED
from qa_core.dataset.template.phrases import stem_words
from qa_core.dataset.template.rules import questions
from qa_core.dataset.template.sentences import PAPER, Statement, quoted, statements

_FRAMES = FRAMES["comparative"]
_PREFERRED = ("numeric", "analytical", "definition", "procedure", "hypothetical", "factual")
_STAND_INS = re.compile(r"\b(?:it|its|they|them|their)\b")
_LONGEST_ANSWER = 580  # characters


def comparative(first: Source, second: Source) -> Iterator[Proposal]:
    """Proposals about two passages of different papers, the closest match first; no sentence is used twice."""
    sides = [_sides(source) for source in (first, second)]
    matches = [found for one in sides[0] for other in sides[1] if (found := match(one, other))]
    used: set[tuple[int, int]] = set()
    matters: set[str] = set()
    for found in sorted(matches, key=lambda found: (found.score, found.matter), reverse=True):
        places = {(1, found.one.start), (2, found.other.start)}
        if not places & used and found.matter not in matters:
            proposal = _proposal(found, first, second)
            if proposal is not None and len(proposal.answer) <= _LONGEST_ANSWER:
                used |= places
                matters.add(found.matter)
                yield proposal


def _sides(source: Source) -> list[Side]:
    if source.kind not in ("prose", "list"):
        return []
    worth = (statement for statement in statements(source.text, source.title) if is_worth_comparing(statement.text))
    clauses = ((statement, parse_clause(COORDINATED.split(statement.text)[0])) for statement in worth)
    sides = (Side(statement, clause.subject if clause else "", source.title) for statement, clause in clauses)
    return [side for side in sides if is_clear(side)]


def _proposal(found: Match, first: Source, second: Source) -> Proposal | None:
    names = quoted(first.title), quoted(second.title)
    question = _question(found, *names)
    if question is None:
        return None
    said = [_said(statement, name) for statement, name in zip((found.one, found.other), names, strict=True)]
    quotes = tuple(
        Quote(number, source.text[statement.start : statement.end])
        for number, source, statement in ((1, first, found.one), (2, second, found.other))
    )
    return Proposal(f"{question[0].upper()}{question[1:]}?", " ".join(said), quotes)


def _question(found: Match, first: str, second: str) -> str | None:
    """Two statements that only share a matter are each asked for what they say of it; None where that fails."""
    if found.frame in ("statements", "both"):
        about = set(stem_words(found.matter))
        asked = _best_question(found.one, about), _best_question(found.other, about)
        # The looser the relation, the more it takes to show that both questions are about one matter.
        naming = sum(question is not None and not about.isdisjoint(stem_words(question)) for question in asked)
        if asked[0] and asked[1] and naming >= (1 if found.score[0] > 1 else 2):
            return _FRAMES["both"].format(one=_put_to(asked[0], first), other=_put_to(asked[1], second))
    if found.frame == "both":
        return None
    return _FRAMES[found.frame].format(first=first, second=second, matter=found.matter)


def _best_question(statement: Statement, about: set[str]) -> str | None:
    """The question to the statement alone that is best to judge; one about the matter before any other."""
    fit = [(kind, question) for kind, question in questions(statement) if not _STAND_INS.search(question)]
    best = min(
        fit,
        key=lambda asked: (about.isdisjoint(stem_words(asked[1])), _PREFERRED.index(asked[0])),
        default=None,
    )
    return best[1] if best else None


def _put_to(question: str, name: str) -> str:
    return question.replace(PAPER, name) if PAPER in question else f"according to {name}, {question}"


def _said(statement: Statement, name: str) -> str:
    """The statement as a sentence that names its paper."""
    if statement.answer.startswith((name, "According to")):
        return statement.answer
    if statement.concludes:
        return _FRAMES["concluded"].format(paper=name, statement=statement.answer)
    return _FRAMES["said"].format(paper=name, statement=statement.text.replace(PAPER, name))

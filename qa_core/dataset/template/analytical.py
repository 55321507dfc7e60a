"""Reasons, and two things of one paper set against each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.dataset.template.clauses import parse_clause
from qa_core.dataset.template.contrasts import contrasts
from qa_core.dataset.template.frames import FRAMES
from qa_core.dataset.template.patterns import COORDINATED
from qa_core.dataset.template.sentences import Statement

_BECAUSE_FIRST = re.compile(r"(?:because|since) [^,]+, (.+)")
_BECAUSE_LAST = re.compile(r"(.+?)(?:,? because|, since) .+")
_RESULT = re.compile(r"(?:, so that|, so|, therefore|, and therefore|; therefore,?|, which (?:is|explains) why) (.+)")
_AFTERTHOUGHT = re.compile(r", (?:which|whereas|while|although|where|even|not|as|plus|rather|each|with|but|and|so)\b.*")
_WEIGHS_REASON = re.compile(r",? (?:only|merely|mainly|partly|largely|simply|precisely|either|in part)$")
_CONDITION = re.compile(r"((?:if|when) [^,;:]+), (?:then )?")
_SETTING = re.compile(r"(?:if|when|with|for|at) [^,;:]+, (?:then )?")
"""What holds for the reason holds for its result too."""


def analytical(statement: Statement) -> Iterator[str]:
    for effect in _effects(statement):
        condition = _CONDITION.match(effect)
        clause = parse_clause(effect[condition.end() :] if condition else effect)
        if clause is not None:
            question = clause.ask(FRAMES["analytical"]["reason"].format(clause=clause.inverted))
            yield f"{condition[1]}, {question}" if condition else question
    yield from contrasts(statement)


def _effects(statement: Statement) -> Iterator[str]:
    """Clauses whose reason the same sentence, or the one before it, gives."""
    text = statement.text
    if first := _BECAUSE_FIRST.fullmatch(text):
        yield COORDINATED.split(first[1])[0]
    elif last := _BECAUSE_LAST.fullmatch(text):
        effect = _WEIGHS_REASON.sub("", COORDINATED.split(last[1])[-1])
        if not effect.endswith(" not"):
            yield effect
    elif result := _RESULT.search(text):
        condition = _SETTING.match(text)
        yield (condition[0] if condition else "") + COORDINATED.split(_AFTERTHOUGHT.sub("", result[1]))[0]
    elif statement.concludes:
        yield COORDINATED.split(_AFTERTHOUGHT.sub("", text))[0]

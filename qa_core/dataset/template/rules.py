"""The rules by question type, and what they make of one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from qa_core.dataset.template.analytical import analytical
from qa_core.dataset.template.definition import definition
from qa_core.dataset.template.factual import factual
from qa_core.dataset.template.hypothetical import hypothetical
from qa_core.dataset.template.lists import listed_facts, listed_steps
from qa_core.dataset.template.numeric import numeric
from qa_core.dataset.template.procedure import procedure
from qa_core.dataset.template.sentences import Rule, Statement

_RULES: dict[str, Rule] = {
    "definition": definition,
    "numeric": numeric,
    "procedure": procedure,
    "analytical": analytical,
    "hypothetical": hypothetical,
    "factual": factual,
}
"""By question type; where two types ask nearly the same of one sentence, the first one here keeps the question."""
_LIST_RULES: dict[str, Rule] = {"procedure": listed_steps, "factual": listed_facts}

_UNASKABLE = re.compile(r"[$\\\[\]<>|*`]")
"""Formulas and markup: fine in an answer, hard to ask aloud."""
_NEARLY_THE_SAME = 0.8
"""Share of the words of the shorter question that two questions about one sentence may have in common."""


def is_askable(question: str) -> bool:
    return _UNASKABLE.search(question) is None


@lru_cache(maxsize=4096)
def questions(statement: Statement, listed: bool = False) -> tuple[tuple[str, str], ...]:
    """Type and question, of every type, without those that an earlier type asks in nearly the same words.

    Args:
        listed: whether ``statement`` announces a list.
    """
    return tuple(_questions(_LIST_RULES if listed else _RULES, statement))


def _questions(rules: dict[str, Rule], statement: Statement) -> Iterator[tuple[str, str]]:
    asked: list[tuple[str, set[str]]] = []
    for kind, rule in rules.items():
        for question in rule(statement):
            words = set(question.split())
            twin = any(
                other != kind and len(words & there) >= _NEARLY_THE_SAME * min(len(words), len(there))
                for other, there in asked
            )
            if not twin and is_askable(question):
                asked.append((kind, words))
                yield kind, question

"""Patterns that more than one rule needs."""

from __future__ import annotations

import re

COORDINATED = re.compile(r"(?:, (?:and|but|so|yet|or)|;|:) ")
"""Where a second main clause begins."""
TAIL = re.compile(
    r"(?:[,;:](?!\d)| (?:because|so that|whereas|while|although|and|or|but|which|when|if|after|unless) ).*"
)
"""From the first word that is no longer about the same thing."""
PREPOSITIONS = frozenset(("in", "on", "at", "for", "from", "to", "with", "by", "than", "between", "during", "within",
                          "before", "after", "over", "under", "across", "into", "as"))  # fmt: skip
NUMBER = (
    r"(?:(?:about|roughly|only|exactly|at most|at least|up to|just|nearly|around|approximately|some|another) )*"
    r"(?:\d[\d,]*(?:\.\d+)?|two|three|four|five|six|seven|eight|nine|ten|twelve)\b(?: (?:to|or) \d[\d,]*(?:\.\d+)?\b)?"
)
"""A number with what qualifies it."""
_NAME = r"[A-Z](?:['’][A-Z])?[^\W\d_A-Z]+(?:-?[A-Z][^\W\d_A-Z]+)?"
PEOPLE = re.compile(rf"({_NAME}(?:(?:, {_NAME})* and {_NAME}| et al\.)?(?: and colleagues)?) (\w+) (.+)")
"""``Dean and Barroso``, ``Fischer, Lynch and Paterson``, ``Shoeybi et al.``, then a verb and the rest."""
VAGUE_SUBJECT = re.compile(r"(?:the|an?|each|every) [a-z-]+|[a-z]+|(?:two|three|four|five) .+")
"""Too few words to name one thing of a paper."""
VAGUE_WORK = re.compile(
    r"(?:the|this) (?:algorithm|approach|concept|construction|idea|method|name|result|scheme|technique|term|variant)"
    r"(?: (?!of\b|that\b|called\b)|$)|it\b"
)
"""What somebody published, told only by a word that points at the sentence before."""

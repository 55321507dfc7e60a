"""Patterns that more than one rule needs."""

from __future__ import annotations

import re

COORDINATED = re.compile(r"(?:, (?:and|but|so|yet|or)|;|:) ")
"""Where a second main clause begins."""
TAIL = re.compile(r"(?:[,;:]| (?:because|so that|whereas|while|although|and|or|but|which|when|if|after|unless) ).*")
"""From the first word that is no longer about the same thing."""
PREPOSITIONS = frozenset(("in", "on", "at", "for", "from", "to", "with", "by", "than", "between", "during", "within",
                          "before", "after", "over", "under", "across", "into", "as"))  # fmt: skip
NUMBER = (
    r"(?:(?:about|roughly|only|exactly|at most|at least|up to|just|nearly|around|approximately|some|another) )*"
    r"(?:\d[\d,]*(?:\.\d+)?|two|three|four|five|six|seven|eight|nine|ten|twelve)\b"
)
"""A number with what qualifies it."""

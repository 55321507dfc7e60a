"""What an answer must not be, whatever its evidence."""

from __future__ import annotations

import re

from qa_core.dataset.checks.rejection import Rejection
from qa_core.terms import normalised_tokens

_SAYS_NOTHING = re.compile(
    r"an?|the|is|are|was|were|be|do|does|did|ha[sd]|have|it|they|this|that|of|in|on|for|to|with|by|as|at|and|or"
    r"|what|which|who|why|how|when|where|many|much"
)
_LEAST = re.compile(r"\w")


def check(question: str, answer: str, max_chars: int) -> Rejection | None:
    """Reasons: ``answer_too_long``, ``answer_repeats_question``."""
    if len(answer) > max_chars:
        return Rejection("schema", "answer_too_long", f"{len(answer)} characters, {max_chars} are allowed")
    # An answer out of some of the question's words can choose between them: "a ring or a tree?"
    if not _LEAST.search(answer) or _content(answer) == _content(question):
        return Rejection("schema", "answer_repeats_question", answer)
    return None


def _content(text: str) -> set[str]:
    return {token for token in normalised_tokens(text) if not _SAYS_NOTHING.fullmatch(token)}

"""Whether a comparative row needs both of its passages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qa_core.dataset.checks.evidence import Evidence
from qa_core.dataset.checks.plain_math import flatten
from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.requests import Source
from qa_core.terms import normalised_tokens, technical_terms

_LEAST_WORDS = 2
"""Ordinary words that only one passage has; a single one is there by chance."""
_SHORTEST = 4
"""Letters of a word with a meaning of its own."""
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "ly", "s", "e", "y")
_COMMON = re.compile(
    r"about|above|after|again|against|also|another|any|because|been|before|being|below|between|both|cannot|could|does"
    r"|done|down|during|each|either|else|every|from|have|having|here|hold|into|itself|just|less|like|made|make|many"
    r"|more|most|much|must|only|other|over|rather|same|several|shall|should|since|some|such|than|that|their|them|then"
    r"|there|these|they|this|those|through|thus|under|until|upon|uses?|used|using|very|well|were|what|when|where"
    r"|whether|which|while|with|within|without|would|your|paper|according|passage|states?|says|whereas|however"
    r"|compared?|differ(?:s|ence)?"
)


def check(answer: str, evidence: Sequence[Evidence], sources: Sequence[Source]) -> Rejection | None:
    """Reasons: ``needs_two_papers`` when quotes or papers are not two, ``one_passage_suffices``.

    A passage is needed when the answer has something from its quotes that the other passage lacks: a number or a
    technical term, or two ordinary words.
    """
    if len(sources) != 2 or sources[0].doc_id == sources[1].doc_id:
        return Rejection("evidence", "needs_two_papers", "the passages are of one paper")
    for number, source in enumerate(sources, start=1):
        quoted = " \n ".join(span.text for span in evidence if span.chunk_id == source.chunk_id)
        if not quoted:
            return Rejection("evidence", "needs_two_papers", f"no quote from passage {number}")
        other = sources[2 - number].text
        if not _adds(flatten(answer), flatten(quoted), flatten(other)):
            return Rejection("evidence", "one_passage_suffices", f"passage {number} adds nothing to the other")
    return None


def _adds(answer: str, quoted: str, other: str) -> bool:
    """Whether ``answer`` has something from ``quoted`` that is not in ``other``."""
    elsewhere = normalised_tokens(other)
    shared = technical_terms(answer) & technical_terms(quoted)
    if any(elsewhere.isdisjoint({term, term.removesuffix("s"), f"{term}s"}) for term in shared):
        return True
    return len(_content(answer) & _content(quoted) - _content(other)) >= _LEAST_WORDS


def _content(text: str) -> set[str]:
    """Words that say what a text is about, without case and endings; runs of a script without spaces by the pair."""
    words: set[str] = set()
    for token in normalised_tokens(text):
        if token.isascii():
            words.update(
                _stem(word) for word in token.split("-") if len(word) >= _SHORTEST and not _COMMON.fullmatch(word)
            )
        else:
            words.update(token[at : at + 2] for at in range(max(1, len(token) - 1)))
    return words


def _stem(word: str) -> str:
    ending = next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= _SHORTEST), "")
    return word.removesuffix(ending)

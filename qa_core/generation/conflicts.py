"""Sentences of different papers that cannot both be right, as far as words can tell.

Three rules, each for two sentences most of whose words are the same: another number with the same unit, a "not" in one
of the two, or opposite directions ("increases", "reduces"). No model reads them. So what is said in other words goes
unseen, and two results under different conditions look like a conflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import product
from typing import Literal

from qa_core.corpus.sentences import Span, sentence_spans
from qa_core.generation.claims import Claim, read_claim
from qa_core.schemas import Passage

Kind = Literal["number", "negation", "direction"]

_LEAST_SHARE: dict[Kind, float] = {"number": 0.6, "negation": 0.5, "direction": 0.4}
"""Of the words that one or both of them have, how many both have."""
_FEWEST_IN_COMMON = 4
"""Words; shorter sentences agree by chance."""


@dataclass(frozen=True)
class Conflict:
    """Two sentences that disagree."""

    kind: Kind
    passages: tuple[int, int]
    """Places of the two passages among those that were compared; the first is one that the answer draws on."""
    spans: tuple[Span, Span]
    """Of the sentences, in the passages' texts."""
    differs: tuple[str, str]
    """What each of them says, as it is written: ``3 servers`` and ``5 servers``, ``not`` and nothing."""


def find_conflicts(passages: Sequence[Passage], drawn_on: Sequence[int]) -> list[Conflict]:
    """Conflicts between a passage that an answer draws on and any passage of another paper, each told once.

    Args:
        drawn_on: places in ``passages`` of those that the answer cites.
    """
    claims = [list(_claims(passage.text)) for passage in passages]
    found: dict[tuple[str, str], Conflict] = {}
    for one in drawn_on:
        for other, passage in enumerate(passages):
            if passage.source == passages[one].source or (other in drawn_on and other < one):
                continue
            for (ours, our_span), (theirs, their_span) in product(claims[one], claims[other]):
                if difference := contradiction(ours, theirs):
                    kind, differs = difference
                    conflict = Conflict(kind, (one, other), (our_span, their_span), differs)
                    found.setdefault((ours.text, theirs.text), conflict)
    return list(found.values())


def contradiction(one: Claim, other: Claim) -> tuple[Kind, tuple[str, str]] | None:
    """The rule by which two sentences disagree, and in what; None where none of them applies."""
    common = one.words & other.words
    if len(common) < _FEWEST_IN_COMMON:
        return None
    share = len(common) / len(one.words | other.words)
    if share >= _LEAST_SHARE["direction"] and (opposite := _opposite(one, other)):
        return "direction", opposite
    if share >= _LEAST_SHARE["negation"] and len(one.negations) % 2 != len(other.negations) % 2:
        return (
            ("negation", (" ".join(one.negations), " ".join(other.negations))) if _same_direction(one, other) else None
        )
    if share >= _LEAST_SHARE["number"] and (amounts := _other_amount(one, other)):
        return "number", amounts
    return None


def _claims(text: str) -> Iterator[tuple[Claim, Span]]:
    for start, end in sentence_spans(text):
        if claim := read_claim(text[start:end]):
            yield claim, (start, end)


def _opposite(one: Claim, other: Claim) -> tuple[str, str] | None:
    """Both have one direction on a scale, and not the same; a "not" in one of them makes it the same again."""
    if len(one.negations) % 2 != len(other.negations) % 2:
        return None
    for scale in one.directions.keys() & other.directions.keys():
        ours, theirs = one.directions[scale], other.directions[scale]
        if len(ours) == len(theirs) == 1 and ours.keys() != theirs.keys():
            return next(iter(ours.values())), next(iter(theirs.values()))
    return None


def _same_direction(one: Claim, other: Claim) -> bool:
    """ "Does not increase" and "decreases" are no conflict."""
    return all(
        one.directions[scale].keys() == other.directions[scale].keys()
        for scale in one.directions.keys() & other.directions.keys()
    )


def _other_amount(one: Claim, other: Claim) -> tuple[str, str] | None:
    """Of something that both count, and neither of them in an experiment of its own."""
    if one.own or other.own or not one.names & other.names:
        return None
    for unit in sorted(one.amounts.keys() & other.amounts.keys()):
        ours, theirs = one.amounts[unit], other.amounts[unit]
        only_ours, only_theirs = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
        if only_ours and only_theirs:  # who names one number more does not deny the others
            return _written(ours, only_ours), _written(theirs, only_theirs)
    return None


def _written(amounts: Mapping[str, str], numbers: Set[str]) -> str:
    return ", ".join(written for number, written in amounts.items() if number in numbers)

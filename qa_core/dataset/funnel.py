"""How many pairs are left after each step between a teacher and the data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qa_core.config import GenerateQASettings
from qa_core.errors import UserError

STEPS = ("reply", "schema", "stands_alone", "evidence", "grounding", "duplicate", "judge", "quota", "review")
"""In order; the stage of every rejected row is one of them."""
_NOT_THE_TEACHERS = ("duplicate", "quota", "review")
"""What these drop is sound, or was for a person to decide: it does not count against the teacher."""

Left = dict[str, int]
"""``proposed``, then each of ``STEPS`` -> how many are left after it."""


@dataclass(frozen=True)
class Funnel:
    """Counts of a run. A reply without pairs counts as one."""

    overall: Left
    by_type: dict[str, Left]
    by_paper: dict[str, Left]
    """By ``doc_id``."""
    lost: dict[str, dict[str, int]]
    """Step -> reason -> how many."""

    @property
    def proposed(self) -> int:
        return self.overall["proposed"]

    @property
    def accepted(self) -> int:
        return self.overall[STEPS[-1]]

    @property
    def sound(self) -> int:
        """Pairs that no check and no judge found fault with."""
        return self.accepted + sum(sum(self.lost[step].values()) for step in _NOT_THE_TEACHERS)

    @property
    def offered(self) -> int:
        """All that was proposed, without the replies that there is nothing to ask: they are no fault."""
        return self.proposed - self.lost["schema"].get("no_pairs", 0)

    @property
    def rejected(self) -> dict[str, int]:
        """Reason -> how many, over all steps."""
        total: Counter[str] = Counter()
        for reasons in self.lost.values():
            total.update(reasons)
        return dict(sorted(total.items()))

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {"overall": self.overall, "by_type": self.by_type, "by_paper": self.by_paper, "lost": self.lost}


class YieldTooLow(UserError):
    """Too few rows to train and to measure on; the message names what was dropped and why."""

    def __init__(self, shortfall: str, rejected: Mapping[str, int]) -> None:
        most_first = sorted(rejected.items(), key=lambda entry: (-entry[1], entry[0]))
        reasons = ", ".join(f"{reason} {count}" for reason, count in most_first) or "nothing was proposed"
        super().__init__(
            f"{shortfall} (rejected: {reasons})",
            "Add papers, mend what the reasons tell of the teacher, or lower generate_qa.min_rows and min_yield.",
        )
        self.shortfall, self.rejected = shortfall, dict(rejected)

    def __reduce__(self) -> tuple[type[YieldTooLow], tuple[str, dict[str, int]]]:  # type: ignore[override]
        # Exceptions cross process borders by pickle, which replays __init__ with self.args.
        return type(self), (self.shortfall, self.rejected)


def tally(accepted: Iterable[Mapping[str, Any]], rejected: Iterable[Mapping[str, Any]]) -> Funnel:
    """The funnel of rows of ``QA`` that were kept and rows of ``QA_REJECTED``, each counted once."""
    entered = Counter((row["question_type"], row["doc_id"]) for row in accepted)
    lost: dict[str, Counter[str]] = {step: Counter() for step in STEPS}
    lost_where: Counter[tuple[str, str, str]] = Counter()
    for row in rejected:
        lost[row["stage"]][row["reason"]] += 1
        lost_where[row["stage"], row["question_type"], row["doc_id"]] += 1
        entered[row["question_type"], row["doc_id"]] += 1
    return Funnel(
        overall=_left(entered.total(), {step: count.total() for step, count in lost.items()}),
        by_type=_grouped(entered, lost_where, 0),
        by_paper=_grouped(entered, lost_where, 1),
        lost={step: dict(sorted(count.items())) for step, count in lost.items()},
    )


def require_yield(funnel: Funnel, settings: GenerateQASettings) -> None:
    """Raise :class:`YieldTooLow` below ``min_rows`` accepted rows, or ``min_yield`` sound ones of those offered."""
    if funnel.accepted == 0:
        raise YieldTooLow("no question/answer row was accepted", funnel.rejected)
    if funnel.accepted < settings.min_rows:
        shortfall = f"only {funnel.accepted} question/answer rows were accepted, min_rows is {settings.min_rows}"
        raise YieldTooLow(shortfall, funnel.rejected)
    if funnel.sound < settings.min_yield * funnel.offered:
        share = f"{funnel.sound} of {funnel.offered} question/answer pairs passed the checks"
        raise YieldTooLow(f"only {share}, min_yield is {settings.min_yield:g}", funnel.rejected)


def _grouped(entered: Counter[tuple[str, str]], lost: Counter[tuple[str, str, str]], part: int) -> dict[str, Left]:
    """Counts by question type (``part`` 0) or by paper (1)."""
    proposed: Counter[str] = Counter()
    dropped: dict[str, Counter[str]] = {}
    for key, count in entered.items():
        proposed[key[part]] += count
    for (step, kind, paper), count in lost.items():
        dropped.setdefault((kind, paper)[part], Counter())[step] += count
    return {name: _left(proposed[name], dropped.get(name, {})) for name in sorted(proposed)}


def _left(proposed: int, lost: Mapping[str, int]) -> Left:
    left = {"proposed": proposed}
    for step in STEPS:
        proposed -= lost.get(step, 0)
        left[step] = proposed
    return left

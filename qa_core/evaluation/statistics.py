"""Confidence intervals by resampling papers, and then the questions of each.

Questions from one paper resemble each other, so rows are not independent and a bootstrap over rows is too sure of
itself. With few papers one over papers alone is, too: two of them can be drawn in three ways. So papers are drawn with
replacement, and within each drawn one its rows (both ways are discussed in A. C. Davison and D. V. Hinkley, "Bootstrap
Methods and their Application", 1997, section 3.8). This errs on the side of caution: where questions of a paper do not
resemble each other, intervals are up to sqrt(2) times as wide as they need be. The interval is the percentile interval
of the redrawn figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

_DIGITS = 6
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowStatistics:
    """What each row adds to a figure, and how the sum becomes the figure (a mean, a BLEU score)."""

    rows: Array
    """``[n, s]``"""
    finish: Callable[[Array], Array]
    """Sums ``[m, s]`` to figures ``[m]``; NaN where a sum is of nothing."""


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval. The bounds are empty when fewer than two papers have a say in it."""

    value: float
    low: float | None
    high: float | None

    def rounded(self) -> dict[str, float | None]:
        """For JSON, which has no NaN; digits beyond the sixth are rounding noise."""
        return {
            name: None if bound is None or np.isnan(bound) else round(bound, _DIGITS)
            for name, bound in asdict(self).items()
        }


def mean_of(values: Sequence[float] | Array) -> RowStatistics:
    """The mean of ``values [n]``; NaN marks a row that has no say."""
    column = np.asarray(values, dtype=np.float64)
    present = ~np.isnan(column)
    return RowStatistics(np.stack([np.where(present, column, 0.0), present], axis=1), _ratio)


def _ratio(sums: Array) -> Array:
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)


class DocumentBootstrap:
    """Intervals for rows that belong to ``documents [n]``.

    The same draws serve every figure, so that the interval of a difference is paired.
    """

    def __init__(self, documents: Sequence[str], *, samples: int, confidence: float, seed: int) -> None:
        names = sorted(set(documents))
        self._rows = [np.flatnonzero(np.asarray(documents) == name) for name in names]
        generator = np.random.default_rng(seed)
        times = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=samples)
        self._draws = np.zeros((samples, len(documents)))
        """How often each row comes in each redrawn corpus."""
        for own, count in zip(self._rows, times.T, strict=True):
            self._draws[:, own] = generator.multinomial(count * len(own), np.full(len(own), 1 / len(own)))
        self._tails = [50 * (1 - confidence), 50 * (1 + confidence)]

    def interval(self, statistics: RowStatistics) -> Interval:
        value = statistics.finish(statistics.rows.sum(axis=0, keepdims=True))[0]
        return self._interval(value, self._redrawn(statistics), self._num_documents(statistics))

    def difference(self, one: RowStatistics, other: RowStatistics) -> Interval:
        """``one - other`` where row ``i`` of both is the same question."""
        first, second = self.interval(one), self.interval(other)
        num_documents = min(self._num_documents(one), self._num_documents(other))
        return self._interval(first.value - second.value, self._redrawn(one) - self._redrawn(other), num_documents)

    def _redrawn(self, statistics: RowStatistics) -> Array:
        """The figure in each redrawn corpus, ``[samples]``."""
        return statistics.finish(self._draws @ statistics.rows)

    def _num_documents(self, statistics: RowStatistics) -> int:
        return sum(bool(statistics.rows[own].any()) for own in self._rows)

    def _interval(self, value: float, redrawn: Array, num_documents: int) -> Interval:
        redrawn = redrawn[~np.isnan(redrawn)]
        if num_documents < 2 or not len(redrawn):
            return Interval(float(value), None, None)
        low, high = np.percentile(redrawn, self._tails)
        return Interval(float(value), float(low), float(high))

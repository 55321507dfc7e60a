"""Taking a few rows fairly, from groups of very different size or from a long list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import TypeVar

Row = TypeVar("Row")


def evenly(rows: Iterable[Row], group: Callable[[Row], str], limit: int | None) -> list[Row]:
    """At most ``limit`` rows, one of each group in turn; groups in name order, rows of a group in the order given."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    rounds = zip_longest(*(groups[name] for name in sorted(groups)))
    return [row for row in chain.from_iterable(rounds) if row is not None][:limit]


def spread(rows: Sequence[Row], limit: int) -> list[Row]:
    """``limit`` rows, or all when there are fewer, at equal distances in the order given."""
    count = min(limit, len(rows))
    return [rows[place * len(rows) // count] for place in range(count)]

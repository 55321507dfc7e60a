"""Taking a few rows fairly from groups of very different size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

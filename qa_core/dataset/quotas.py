"""Which accepted rows are kept when there are more than asked for: by type, and in turns over the papers."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

Row = dict[str, Any]
Item = TypeVar("Item")


def select_rows(
    rows: Sequence[Row],
    quotas: Mapping[str, int],
    max_per_paper: int | None,
    seed: int,
    rank: Callable[[Row], int] = lambda row: 0,
) -> list[Row]:
    """At most ``quotas[type]`` rows of each type and ``max_per_paper`` rows of each paper, in the given order.

    Rows of a lower ``rank`` come before all others. Among equals the papers take turns within a type, and the types
    take turns as well, so that none of them uses up all that ``max_per_paper`` leaves.
    """
    taken: Counter[str] = Counter()
    kept: dict[str, list[str]] = {kind: [] for kind in quotas}
    for level in sorted({rank(row) for row in rows}):
        members = [row for row in rows if rank(row) == level]
        queues = {
            kind: deque(
                in_turns(
                    (row for row in members if row["question_type"] == kind), seed, _paper, lambda row: _key(seed, row)
                )
            )
            for kind in quotas
        }
        while any(queues.values()):
            for kind, queue in queues.items():
                if len(kept[kind]) == quotas[kind]:
                    queue.clear()
                if not queue:
                    continue
                row = queue.popleft()
                if max_per_paper is None or taken[row["doc_id"]] < max_per_paper:
                    taken[row["doc_id"]] += 1
                    kept[kind].append(row["qa_id"])
    ids = {qa_id for chosen in kept.values() for qa_id in chosen}
    return [row for row in rows if row["qa_id"] in ids]


def in_turns(
    items: Iterable[Item], seed: int, group: Callable[[Item], Hashable], place: Callable[[Item], Any]
) -> list[Item]:
    """``items`` with the groups taking turns, in an order drawn from ``seed``; within a group by ``place``."""
    queues: dict[Hashable, list[Item]] = defaultdict(list)
    for item in sorted(items, key=place):
        queues[group(item)].append(item)
    turns = [(turn, draw(seed, str(key)), item) for key, queue in queues.items() for turn, item in enumerate(queue)]
    return [item for *_, item in sorted(turns, key=lambda entry: entry[:2])]


def draw(seed: int, name: str) -> str:
    """A random place for ``name``: the same whatever else there is."""
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()


def _paper(row: Row) -> str:
    return row["doc_id"]


def _key(seed: int, row: Row) -> str:
    return draw(seed, row["qa_id"])

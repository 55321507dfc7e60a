"""Which accepted rows are kept when there are more than asked for: by type, and in turns over the papers."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

Row = dict[str, Any]
Item = TypeVar("Item")


def select_rows(rows: Sequence[Row], quotas: Mapping[str, int], max_per_paper: int | None, seed: int) -> list[Row]:
    """At most ``quotas[type]`` rows of each type and ``max_per_paper`` rows of each paper, in the given order.

    What a person has accepted or edited comes first. Then the papers take turns within a type, and the types take
    turns as well, so that none of them uses up all that ``max_per_paper`` leaves.
    """
    queues = {kind: deque(_queue([row for row in rows if row["question_type"] == kind], seed)) for kind in quotas}
    taken: Counter[str] = Counter()
    kept: dict[str, list[str]] = {kind: [] for kind in quotas}
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


def _queue(rows: Sequence[Row], seed: int) -> list[Row]:
    seen = [row for row in rows if row["review"] is not None]
    return in_turns(seen, seed, _paper, _id) + in_turns(
        [row for row in rows if row["review"] is None], seed, _paper, _id
    )


def in_turns(
    items: Iterable[Item], seed: int, group: Callable[[Item], Hashable], name: Callable[[Item], str]
) -> list[Item]:
    """``items`` with the groups taking turns; the order within a group, and of the groups, is drawn from ``seed``."""
    queues: dict[Hashable, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: _draw(seed, name(item))):
        queues[group(item)].append(item)
    turns = [(turn, _draw(seed, str(key)), item) for key, queue in queues.items() for turn, item in enumerate(queue)]
    return [item for *_, item in sorted(turns, key=lambda entry: entry[:2])]


def _paper(row: Row) -> str:
    return row["doc_id"]


def _id(row: Row) -> str:
    return row["qa_id"]


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()

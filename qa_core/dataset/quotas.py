"""Which accepted rows are kept when there are more than asked for: even over question types, then over papers."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def drop_duplicates(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The first row of every question, and the others; case, articles and punctuation do not count."""
    seen: set[str] = set()
    kept: list[Row] = []
    dropped: list[Row] = []
    for row in rows:
        question = normalised(row["question"])
        (dropped if question in seen else kept).append(row)
        seen.add(question)
    return kept, dropped


def normalised(question: str) -> str:
    """``question`` as its words, without case, punctuation and articles."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", question).casefold())
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def select_rows(rows: Sequence[Row], target: int, question_types: Sequence[str], seed: int) -> list[Row]:
    """At most ``target`` rows, in the given order.

    A type with fewer rows than its share leaves the rest of it to the others; within a type the papers take turns.
    """
    by_type = {kind: [row for row in rows if row["question_type"] == kind] for kind in question_types}
    shares = even_shares({kind: len(members) for kind, members in by_type.items()}, target)
    kept = {row["qa_id"] for kind, share in shares.items() for row in in_turns(by_type[kind], seed)[:share]}
    return [row for row in rows if row["qa_id"] in kept]


def even_shares(available: dict[str, int], target: int) -> dict[str, int]:
    """How many to take of each, as even as ``available`` lets it be; they add up to ``target`` when there is enough."""
    shares = dict.fromkeys(available, 0)
    left = target
    # The scarcest first: what it cannot give is spread over those that still have plenty.
    for position, name in enumerate(sorted(available, key=lambda name: (available[name], name))):
        shares[name] = min(available[name], left // (len(available) - position))
        left -= shares[name]
    return shares


def in_turns(rows: Sequence[Row], seed: int) -> list[Row]:
    """``rows`` with the papers taking turns, the order within a paper and of the papers drawn from ``seed``."""
    by_document: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: _draw(seed, row["qa_id"])):
        by_document[row["doc_id"]].append(row)
    turns = [
        (turn, _draw(seed, doc_id), row) for doc_id, queue in by_document.items() for turn, row in enumerate(queue)
    ]
    return [row for *_, row in sorted(turns, key=lambda entry: entry[:2])]


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\0{name}".encode()).hexdigest()

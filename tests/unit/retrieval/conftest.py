from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from qa_core.schemas import Passage


@pytest.fixture
def passage() -> Callable[..., Passage]:
    """Builds a passage; only what a test is about has to be named. Each stands in a place of its own."""
    places = count(100, 10_000)

    def build(chunk_id: str = "c0", **fields: Any) -> Passage:
        text = fields.pop("text", "A leader needs votes from a majority.")
        start_char = fields.pop("start_char", next(places))
        defaults: dict[str, Any] = {
            "doc_id": "paper",
            "source": "raft.md",
            "title": "Raft",
            "section_path": ("Elections",),
            "start_char": start_char,
            "end_char": start_char + len(text),
            "num_tokens": 8,
            "density": 0.5,
            "prefix": "Raft > Elections",
        }
        return Passage(chunk_id=chunk_id, text=text, **{**defaults, **fields})

    return build

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qa_core.schemas import Passage


@pytest.fixture
def passage() -> Callable[..., Passage]:
    """Builds a passage; only what a test is about has to be named."""

    def build(chunk_id: str = "c0", **fields: Any) -> Passage:
        text = fields.pop("text", "A leader needs votes from a majority.")
        defaults: dict[str, Any] = {
            "doc_id": "paper",
            "source": "raft.md",
            "title": "Raft",
            "section_path": ("Elections",),
            "start_char": 100,
            "end_char": 100 + len(text),
            "num_tokens": 8,
            "density": 0.5,
            "prefix": "Raft > Elections",
        }
        return Passage(chunk_id=chunk_id, text=text, **{**defaults, **fields})

    return build

from __future__ import annotations

from typing import Any

import pytest

from qa_core.schemas import Passage


@pytest.fixture
def predictions() -> list[dict[str, Any]]:
    """Six questions on three papers, answered in both modes; retrieval makes every answer right."""
    rows = []
    for mode in ("standalone", "rag"):
        for i in range(6):
            rag = mode == "rag"
            rows.append(
                {
                    "qa_id": f"q{i}",
                    "doc_id": f"paper{i % 3}",
                    "model": "tuned-4bit",
                    "mode": mode,
                    "question_type": ("factual", "analytical")[i % 2],
                    "question": f"How many replicas does group {i} keep?",
                    "answerable": True,
                    "reference": f"Group {i} keeps {i + 3} replicas on NVMe disks.",
                    "prediction": f"Group {i} keeps {i + 3} replicas on NVMe disks [1]." if rag else "It keeps some.",
                    "retrieved_chunk_ids": [f"c{i}", "other"] if rag else [],
                    "gold_chunk_ids": [f"c{i}"],
                    "cited": [1] if rag else [],
                    "gold_numbers": [1] if rag else [],
                    "prompt_tokens": 40,
                    "completion_tokens": 9,
                    "finish_reason": "stop" if rag else "length",
                }
            )
    return rows


@pytest.fixture
def passages() -> dict[str, Passage]:
    def passage(chunk_id: str) -> Passage:
        return Passage(
            chunk_id=chunk_id,
            doc_id="paper0",
            source="storage/replicas.md",
            title="On replicas",
            section_path=("Design", "Groups"),
            start_char=10,
            end_char=60,
            num_tokens=12,
            density=0.5,
            prefix="On replicas > Design > Groups",
            text=f"Text of {chunk_id}.",
        )

    return {name: passage(name) for name in ("other", *(f"c{i}" for i in range(6)))}

"""Rows of ``QA`` as the stage writes them, conversations included."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from qa_core.config import ContextSettings
from qa_core.dataset.conversations import converse
from qa_core.schemas import QA, Passage

SPLITS = ("train", "train", "train", "train", "train", "train", "validation", "test")
TYPES = ("factual", "numeric")


def passage(number: int) -> Passage:
    text = f"Block {number} stores {number} values | 東京 with one scale."
    return Passage(f"c{number}", f"d{number}", "a.md", f"Paper {number}", ("S",), 0, len(text), 9, 0.5, "P > S", text)


def sample_rows(count: int = 16) -> list[dict[str, Any]]:
    rows = []
    for number in range(count):
        gold = passage(number)
        row = {
            "qa_id": f"q{number:02}", "doc_id": gold.doc_id, "chunk_ids": [gold.chunk_id],
            "question_type": TYPES[number % 2], "question": f"What does block {number} store?",
            "answer": f"{number} values.", "answerable": True, "split": SPLITS[number % len(SPLITS)],
            "evidence": [{"chunk_id": gold.chunk_id, "text": gold.text, "start_char": 0, "end_char": len(gold.text)}],
            "teacher": "template", "prompt_version": "abc123", "request_id": f"r{number}", "review": None,
        }  # fmt: skip
        context = ContextSettings(shown=0.5, without_gold=0.25)
        ids, messages = converse(row, [gold], [passage(100 + number), passage(200 + number)], context, 3, 7)
        rows.append({**row, "context_chunk_ids": ids, "messages": messages})
    return rows


def sample_table(count: int = 16) -> pa.Table:
    return pa.Table.from_pylist(sample_rows(count), schema=QA)

"""What a chunker may not do: lose words."""

from __future__ import annotations

import re
from typing import Any

from qa_core.corpus.documents import Document
from qa_core.corpus.markdown import parse_blocks

Rows = list[dict[str, Any]]


def lost_characters(document: Document, chunks: Rows, rejected: Rows) -> str:
    """What says something but is in no chunk, no rejection and no heading."""
    kept = bytearray(len(document.text))
    spans = [(row["start_char"], row["end_char"]) for row in chunks]
    spans += [
        (int(a), int(b))
        for a, b in re.findall(r"^characters (\d+) to (\d+)", "\n".join(r["detail"] for r in rejected), re.M)
    ]
    spans += [(block.start, block.end) for block in parse_blocks(document.text) if block.kind == "heading"]
    for start, end in spans:
        kept[start:end] = b"\1" * (end - start)
    missing = (char for char, is_kept in zip(document.text, kept, strict=True) if not is_kept)
    return "".join(char for char in missing if char.isalnum() or not (char.isascii() or char.isspace()))

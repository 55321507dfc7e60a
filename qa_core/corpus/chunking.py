"""Documents to chunks: whole blocks packed up to a token budget, never across a section border.

A chunk is a slice of its document. Tables, code, math and lists stay whole unless they alone exceed the budget; then a
table is cut between rows, code and math between lines, a list between sentences, and what is still too large between
words or, at last, characters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from qa_core.config import ChunkSettings
from qa_core.corpus.cutting import CHUNK_KIND, Cutter
from qa_core.corpus.markdown import Block, parse_blocks
from qa_core.corpus.packing import Packed, Packer
from qa_core.corpus.readers import Document

Row = dict[str, Any]

_TELLING_AT_ANY_LENGTH = frozenset({"table", "code", "math"})
_TELLING = re.compile(r"[^\W_]|[^\s\x00-\x7f]")
"""A letter or digit, or any sign beyond ASCII: a block of dashes and brackets says nothing."""
_PREVIEW_CHARS = 120


class Chunker:
    """Cuts documents by the tokens of one tokenizer."""

    def __init__(self, tokenizer_file: Path, settings: ChunkSettings) -> None:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        # A pretrained tokenizer.json may carry these; a count must see every token and nothing else.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._cutter = Cutter(tokenizer, settings.max_tokens)
        self._settings = settings

    def chunk(self, document: Document) -> tuple[list[Row], list[Row]]:
        """Rows of ``CHUNKS`` and of ``CHUNKS_REJECTED``; all text but headings is in one or the other."""
        chunks: list[Row] = []
        rejected: list[Row] = []
        for run in _runs(document.text):
            if run[0].kind in CHUNK_KIND:
                for packed in self._pack(document.text, run):
                    if self._is_too_short(packed):
                        rejected.append(_rejected_part(document, "too_short", packed.start, packed.end))
                    else:
                        chunks.append(_chunk_row(document, run[0].section_path, len(chunks), packed))
            elif run[0].kind != "heading":
                rejected.extend(_rejected_part(document, block.kind, block.start, block.end) for block in run)
        if not chunks and not rejected:
            rejected.append(rejected_file(document.source, "only_headings", f"{len(document.text)} characters"))
        return chunks, rejected

    def _pack(self, text: str, run: Iterable[Block]) -> Iterator[Packed]:
        units = list(self._cutter.units(text, run))
        return Packer(text, units, self._cutter.count, self._settings).pack()

    def _is_too_short(self, packed: Packed) -> bool:
        return packed.num_tokens < self._settings.min_tokens and packed.kind not in _TELLING_AT_ANY_LENGTH


def rejected_file(source: str, reason: str, detail: str) -> Row:
    """A row of ``CHUNKS_REJECTED`` for a whole file."""
    return {"source": source, "stage": "chunk", "reason": reason, "detail": detail}


def _rejected_part(document: Document, reason: str, start: int, end: int) -> Row:
    preview = " ".join(document.text[start : min(end, start + _PREVIEW_CHARS)].split())
    return rejected_file(document.source, reason, f"characters {start} to {end}: {preview}")


def _runs(text: str) -> Iterator[list[Block]]:
    """Neighbouring blocks that may share a chunk: of one section, with nothing between them that stays out."""
    telling = (block for block in parse_blocks(text) if _TELLING.search(text, block.start, block.end))
    for _, run in groupby(
        telling, key=lambda block: (block.section_path, block.kind in CHUNK_KIND, block.kind == "heading")
    ):
        yield list(run)


def _chunk_row(document: Document, section_path: tuple[str, ...], index: int, packed: Packed) -> Row:
    text = document.text[packed.start : packed.end]
    identity = f"{document.doc_id}\0{packed.start}\0{packed.end}\0{text}"
    return {
        "chunk_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "doc_id": document.doc_id,
        "source": document.source,
        "title": document.title,
        "section_path": list(section_path),
        "chunk_index": index,
        "start_char": packed.start,
        "end_char": packed.end,
        "num_tokens": packed.num_tokens,
        "kind": packed.kind,
        "text": text,
    }

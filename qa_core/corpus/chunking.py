"""Documents to chunks: whole blocks packed up to a token budget, never across a section border.

A chunk is a slice of its document, with a prefix that is stored apart: its place in the paper and, where a long table
goes on, the table's header. Tables, code, math, captions and lists stay whole unless they alone exceed the budget; then
a table is cut between rows, code and math between lines, a list between items, and what is still too large between
words or, at last, characters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from qa_core.config import ChunkSettings
from qa_core.corpus.counting import TokenCounter
from qa_core.corpus.cutting import CHUNK_KIND, TELLING_AT_ANY_LENGTH, Cutter, Measured, Unit
from qa_core.corpus.documents import Document
from qa_core.corpus.markdown import Block, MarkdownParser
from qa_core.corpus.markdown_lines import BlockKind
from qa_core.corpus.packing import Packed, Packer

Row = dict[str, Any]
TopicFinder = Callable[[str, Sequence[Unit]], frozenset[int]]
"""Text and units to the numbers of the units that begin another topic."""

Skip = Callable[[str, BlockKind], bool]
"""A block to whether it is boilerplate; asked once about every block that could go into a chunk."""

_APART = frozenset({"references", "footnote"})
"""Kinds that share no chunk with prose: they are searched, but no question is made from them."""
_TELLING = re.compile(r"[^\W_]|[^\s\x00-\x7f]")
"""A letter or digit, or any sign beyond ASCII: a block of dashes and brackets says nothing."""
_PREVIEW_CHARS = 120
_HEADING_SHARE = 4
"""A heading prefix takes at most one in this many tokens of the budget."""


@dataclass
class Cut:
    """What became of a stretch of a document."""

    start: int = 0
    """Where the stretch begins in the document."""
    text: str = ""
    chunks: list[Row] = field(default_factory=list)
    """Rows of ``CHUNKS`` but for their density."""
    rejected: list[Row] = field(default_factory=list)
    """Rows of ``CHUNKS_REJECTED``."""


class _Run(NamedTuple):
    """Neighbouring blocks of one section that may share a chunk or, unless ``is_kept``, are all rejected."""

    section_path: tuple[str, ...]
    is_kept: bool
    blocks: list[Block]


class Chunker:
    """Cuts documents by the tokens of one tokenizer."""

    def __init__(self, tokenizer_file: Path, settings: ChunkSettings, find_topics: TopicFinder | None = None) -> None:
        self._counter = TokenCounter(tokenizer_file)
        self._cutter = Cutter(self._counter)
        self._settings = settings
        self._find_topics = find_topics

    def chunk(self, document: Document, skip: Skip | None = None) -> Cut:
        """All text but headings is in a chunk or in a rejected row."""
        stretches = list(self.stream(document, skip))
        return Cut(
            0,
            "".join(stretch.text for stretch in stretches),
            [row for stretch in stretches for row in stretch.chunks],
            [row for stretch in stretches for row in stretch.rejected],
        )

    def stream(self, document: Document, skip: Skip | None = None) -> Iterator[Cut]:
        """Like :meth:`chunk`, one stretch of a very large document after the other."""
        num_chunks, is_empty = 0, True
        for start, text, blocks in _windows(document):
            cut = Cut(start, text)
            for row in self._rows(replace(document, text=text), start, blocks, skip):
                if "chunk_id" in row:
                    cut.chunks.append({**row, "chunk_index": num_chunks})
                    num_chunks += 1
                else:
                    cut.rejected.append(row)
            is_empty = is_empty and not (cut.chunks or cut.rejected)
            yield cut
        if is_empty:
            detail = f"nothing but headings, rules and white space in {len(document.text)} characters"
            yield Cut(len(document.text), rejected=[rejected_file(document.source, "no_text", detail)])

    def _rows(self, document: Document, offset: int, blocks: Iterable[Block], skip: Skip | None) -> Iterator[Row]:
        runs = list(_runs(document.text, blocks, skip))
        measured = iter(self._cutter.measure(document.text, [b for run in runs if run.is_kept for b in run.blocks]))
        for run in runs:
            if not run.is_kept:
                for block in run.blocks:
                    reason = "boilerplate" if block.kind in CHUNK_KIND else block.kind
                    yield _rejected_part(document, reason, block.start, block.end, offset)
                continue
            for packed in self._pack(document, run.section_path, list(islice(measured, len(run.blocks)))):
                if self._is_too_short(document.text, packed):
                    yield _rejected_part(document, "too_short", packed.start, packed.end, offset)
                else:
                    yield _chunk_row(document, run.section_path, packed, offset)

    def _pack(
        self, document: Document, section_path: tuple[str, ...], measured: Sequence[Measured]
    ) -> Iterator[Packed]:
        heading, heading_tokens = self._heading(document.title, section_path)
        text, most = document.text, self._settings.max_tokens
        units = list(self._cutter.units(text, measured, most - heading_tokens, most))
        topics = self._find_topics(text, units) if self._find_topics else frozenset()
        return Packer(text, units, self._counter.count, self._settings, heading, heading_tokens, topics).pack()

    def _heading(self, title: str, section_path: tuple[str, ...]) -> tuple[str, int]:
        """``Title > Section > Subsection``, shortened from the left to its share of the budget, and its tokens."""
        names = [title, *section_path[section_path[:1] == (title,) :]]
        room = self._settings.max_tokens // _HEADING_SHARE
        while names:
            heading = " > ".join(names)
            # One more for the line break below it.
            if (num_tokens := self._counter.count(heading) + 1) <= room:
                return heading, num_tokens
            names = names[1:]
        return "", 0

    def _is_too_short(self, text: str, packed: Packed) -> bool:
        if packed.kind in TELLING_AT_ANY_LENGTH or packed.end - packed.start > self._settings.min_tokens * 16:
            return False
        return self._counter.count(text[packed.start : packed.end]) < self._settings.min_tokens


def rejected_file(source: str, reason: str, detail: str, stage: str = "chunk") -> Row:
    """A row of ``CHUNKS_REJECTED`` for a whole file."""
    return {"source": source, "stage": stage, "reason": reason, "detail": detail}


def _rejected_part(document: Document, reason: str, start: int, end: int, offset: int) -> Row:
    preview = " ".join(document.text[start : min(end, start + _PREVIEW_CHARS)].split())
    return rejected_file(document.source, reason, f"characters {start + offset} to {end + offset}: {preview}")


def _windows(document: Document) -> Iterator[tuple[int, str, list[Block]]]:
    """Where each stretch of the document begins, its text and its blocks; a border falls between two blocks."""
    parser, text, start, rest = MarkdownParser(), document.text, 0, iter(document.rest)
    while True:
        following = next(rest, None)
        blocks = list(parser.parse(text))
        if following is None:
            yield start, text, blocks
            return
        # The last block may go on; only one that fills the whole window is cut there.
        border = blocks[-1].start if len(blocks) > 1 else len(text)
        yield start, text[:border], blocks[:-1] if len(blocks) > 1 else blocks
        text, start = text[border:] + following, start + border


def _runs(text: str, blocks: Iterable[Block], skip: Skip | None) -> Iterator[_Run]:
    def place(block: Block) -> tuple[tuple[str, ...], str]:
        if block.kind not in CHUNK_KIND or (skip is not None and skip(text[block.start : block.end], block.kind)):
            return block.section_path, "out"
        return block.section_path, block.kind if block.kind in _APART else "in"

    telling = (block for block in blocks if block.kind == "heading" or _TELLING.search(text, block.start, block.end))
    for (section_path, where), members in groupby(telling, key=place):
        if run := [block for block in members if block.kind != "heading"]:
            yield _Run(section_path, where != "out", run)


def _chunk_row(document: Document, section_path: tuple[str, ...], packed: Packed, offset: int) -> Row:
    text = document.text[packed.start : packed.end]
    start, end = packed.start + offset, packed.end + offset
    source_start, source_end = document.source_map.locate(start, end)
    identity = f"{document.doc_id}\0{start}\0{end}\0{packed.prefix}\0{text}"
    return {
        "chunk_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "doc_id": document.doc_id,
        "source": document.source,
        "title": document.title,
        "section_path": list(section_path),
        "start_char": start,
        "end_char": end,
        "span_unit": document.source_map.unit,
        "span_start": source_start,
        "span_end": source_end,
        "num_tokens": packed.num_tokens,
        "kind": packed.kind,
        "prefix": packed.prefix,
        "text": text,
    }

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
from qa_core.corpus.markdown_marks import unclosed_html
from qa_core.corpus.packing import Packed, Packer

Row = dict[str, Any]
TopicFinder = Callable[[str, Sequence[Unit]], frozenset[int]]
"""Text and units to the numbers of the units that begin another topic."""

Skip = Callable[[str, BlockKind], bool]
"""A block to whether it is boilerplate; asked once about every heading and every block that could go into a chunk."""

_APART = frozenset({"references", "footnote"})
"""Kinds that share no chunk with prose: they are searched, but no question is made from them."""
_TELLING = re.compile(r"[^\W_]|[^\s\x00-\x7f]")
"""A letter or digit, or any sign beyond ASCII: a paragraph of dashes and brackets says nothing."""
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
    """Neighbouring blocks of one section that may share a chunk or are in none for the same reason."""

    section_path: tuple[str, ...]
    reason: str
    """Empty for blocks that are kept."""
    blocks: list[Block]


class _BareHeadings:
    """Headings under which nothing was kept so far: no section path of a chunk would ever name them."""

    def __init__(self) -> None:
        self._open: list[tuple[tuple[str, ...], int, int, str]] = []

    def add(self, block: Block, text: str, offset: int) -> None:
        words = text[block.start : block.end]
        self._open.append((block.section_path, block.start + offset, block.end + offset, words))

    def fill(self, section_path: tuple[str, ...]) -> None:
        """A chunk names these headings."""
        self._open = [heading for heading in self._open if section_path[: len(heading[0])] != heading[0]]

    def closed_by(self, section_path: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
        """Start, end and words of the headings whose sections end where ``section_path`` begins."""
        while self._open and self._open[-1][0] != section_path[: len(self._open[-1][0])]:
            yield self._open.pop()[1:]


class Chunker:
    """Cuts documents by the tokens of one tokenizer."""

    def __init__(self, tokenizer_file: Path, settings: ChunkSettings, find_topics: TopicFinder | None = None) -> None:
        self._counter = TokenCounter(tokenizer_file)
        self._cutter = Cutter(self._counter)
        self._settings = settings
        self._find_topics = find_topics

    def chunk(self, document: Document, skip: Skip | None = None) -> Cut:
        """Every block is in a chunk, in a rejected row or, as a heading, in the section path of a chunk."""
        stretches = list(self.stream(document, skip))
        return Cut(
            0,
            "".join(stretch.text for stretch in stretches),
            [row for stretch in stretches for row in stretch.chunks],
            [row for stretch in stretches for row in stretch.rejected],
        )

    def stream(self, document: Document, skip: Skip | None = None) -> Iterator[Cut]:
        """Like :meth:`chunk`, one stretch of a very large document after the other."""
        num_chunks, is_empty, bare, cut = 0, True, _BareHeadings(), Cut()
        for start, text, blocks in _windows(document):
            if start:
                yield cut
            cut = Cut(start, text)
            for row in self._rows(replace(document, text=text), start, blocks, skip, bare):
                if "chunk_id" in row:
                    cut.chunks.append({**row, "chunk_index": num_chunks})
                    num_chunks += 1
                else:
                    cut.rejected.append(row)
            is_empty = is_empty and not (cut.chunks or cut.rejected)
        cut.rejected += [_heading_row(document.source, heading) for heading in bare.closed_by(())]
        if is_empty and not cut.rejected:
            detail = f"nothing but rules and white space in {len(document.text)} characters"
            cut.rejected.append(rejected_file(document.source, "no_text", detail))
        yield cut

    def _rows(
        self, document: Document, offset: int, blocks: Iterable[Block], skip: Skip | None, bare: _BareHeadings
    ) -> Iterator[Row]:
        runs = list(_runs(document.text, blocks, skip))
        measured = iter(self._cutter.measure(document.text, [b for run in runs if not run.reason for b in run.blocks]))
        for run in runs:
            if run.reason == "heading":
                for block in run.blocks:
                    for heading in bare.closed_by(block.section_path):
                        yield _heading_row(document.source, heading)
                    bare.add(block, document.text, offset)
            elif run.reason:
                for block in run.blocks:
                    yield _rejected_part(document, run.reason, block.start, block.end, offset)
            else:
                for packed in self._pack(document, run.section_path, list(islice(measured, len(run.blocks)))):
                    if self._is_too_short(document.text, packed):
                        yield _rejected_part(document, "too_short", packed.start, packed.end, offset)
                    else:
                        bare.fill(run.section_path)
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
    return _rejected_span(document.source, reason, start + offset, end + offset, document.text[start:end])


def _heading_row(source: str, heading: tuple[int, int, str]) -> Row:
    return _rejected_span(source, "bare_heading", *heading)


def _rejected_span(source: str, reason: str, start: int, end: int, words: str) -> Row:
    preview = " ".join(words[:_PREVIEW_CHARS].split())
    return rejected_file(source, reason, f"characters {start} to {end}: {preview}")


def _windows(document: Document) -> Iterator[tuple[int, str, list[Block]]]:
    """Where each stretch of the document begins, its text and its blocks; a border falls between two blocks."""
    parser, text, start, rest = MarkdownParser(), document.text, 0, iter(document.rest)
    while True:
        following = next(rest, None)
        if following is None:
            yield start, text, list(parser.parse(text))
            return
        # What is opened here may be closed in the next stretch; only what opens at the very start cannot wait.
        blocks = list(parser.parse(text[: unclosed_html(text) or len(text)]))
        if len(blocks) > 1:
            border = blocks.pop().start  # the last block may go on
        else:  # one block fills the stretch and is cut between its lines
            border = text.rfind("\n") + 1 or len(text)
            blocks = [block._replace(end=min(block.end, border)) for block in blocks]
            for block in blocks:
                parser.cut_inside(text, block)
        yield start, text[:border], blocks
        text, start = text[border:] + following, start + border


def _runs(text: str, blocks: Iterable[Block], skip: Skip | None) -> Iterator[_Run]:
    def place(block: Block) -> tuple[tuple[str, ...], str, str]:
        """Section, reason to be in no chunk, and what it shares no chunk with."""
        is_text = block.kind == "heading" or block.kind in CHUNK_KIND
        repeats = is_text and skip is not None and skip(text[block.start : block.end], block.kind)
        if block.kind not in CHUNK_KIND:
            return block.section_path, block.kind, ""
        if repeats:
            return block.section_path, "boilerplate", ""
        if block.kind == "paragraph" and not _TELLING.search(text, block.start, block.end):
            return block.section_path, "no_words", ""
        return block.section_path, "", block.kind if block.kind in _APART else ""

    for (section_path, reason, _), run in groupby(blocks, key=place):
        yield _Run(section_path, reason, list(run))


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

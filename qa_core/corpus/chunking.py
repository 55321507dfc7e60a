"""Documents to chunks: whole blocks packed up to a token budget, never across a section border.

A chunk is a slice of its document. Tables, code, math and lists stay whole unless they alone exceed the budget; then a
table is cut between rows, code between lines, everything else between sentences, and what is still too large between
words or, at last, characters.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from qa_core.config import ChunkSettings
from qa_core.corpus.markdown import Block, parse_blocks
from qa_core.corpus.readers import Document
from qa_core.corpus.sentences import Span, sentence_spans

Row = dict[str, Any]

_CHUNK_KIND = {
    "paragraph": "prose", "list": "list", "table": "table", "code": "code", "math": "math", "references": "references",
}  # fmt: skip
_CUT_BETWEEN_LINES = frozenset({"table", "code", "math"})
_ANY_LENGTH = frozenset({"table", "code", "math"})
"""Kinds that say something however short they are."""
_PREVIEW_CHARS = 120


@dataclass(frozen=True)
class _Unit:
    """The smallest piece that packing moves: a sentence, a whole block, or a part of a block above the budget."""

    start: int
    end: int
    kind: str
    num_tokens: int
    repeatable: bool = False
    """A whole sentence, which the next chunk may repeat."""
    opens_long_block: bool = False
    """First part of a block above the budget: better at the start of a chunk, where a table's header meets its rows."""


@dataclass(frozen=True)
class _Packed:
    """Units ``first`` to ``stop`` make a chunk; those before ``new`` repeat the chunk before."""

    first: int
    new: int
    stop: int
    num_tokens: int


class Chunker:
    """Cuts documents by the tokens of one tokenizer. Not for concurrent use."""

    def __init__(self, tokenizer_file: Path, settings: ChunkSettings) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._settings = settings

    def chunk(self, document: Document) -> tuple[list[Row], list[Row]]:
        """Rows of ``CHUNKS`` and of ``CHUNKS_REJECTED``; all text but headings is in one or the other."""
        chunks: list[Row] = []
        rejected: list[Row] = []
        for blocks in _runs(parse_blocks(document.text)):
            if blocks[0].kind in _CHUNK_KIND:
                units = list(self._units(document.text, blocks))
                for packed in self._pack(document.text, units):
                    self._emit(document, blocks[0].section_path, units, packed, chunks, rejected)
            elif blocks[0].kind != "heading":
                rejected.extend(_rejection(document, block.kind, block.start, block.end) for block in blocks)
        if not chunks and not rejected:
            rejected.append(_rejection(document, "no_text_below_headings", 0, len(document.text)))
        return chunks, rejected

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def _units(self, text: str, blocks: list[Block]) -> Iterator[_Unit]:
        """The units of one run of blocks, each within the budget."""
        for block in blocks:
            kind = _CHUNK_KIND[block.kind]
            num_tokens = self._count(text[block.start : block.end])
            if num_tokens <= self._settings.max_tokens and kind not in ("prose", "references"):
                yield _Unit(block.start, block.end, kind, num_tokens)
                continue
            between_lines = kind in _CUT_BETWEEN_LINES
            pieces = (_line_spans if between_lines else sentence_spans)(text[block.start : block.end])
            for number, (start, end) in enumerate(pieces):
                opens = number == 0 and num_tokens > self._settings.max_tokens and kind != "prose"
                yield from self._within_budget(
                    text, block.start + start, block.start + end, kind, repeatable=not between_lines, opens=opens
                )

    def _within_budget(
        self, text: str, start: int, end: int, kind: str, *, repeatable: bool, opens: bool
    ) -> Iterator[_Unit]:
        """One unit, or several cut between words when the piece exceeds the budget."""
        num_tokens = self._count(text[start:end])
        if num_tokens <= self._settings.max_tokens:
            yield _Unit(start, end, kind, num_tokens, repeatable, opens)
            return
        for cut_start, cut_end, cut_tokens in self._cut(text, start, end):
            yield _Unit(cut_start, cut_end, kind, cut_tokens, opens_long_block=opens and cut_start == start)

    def _cut(self, text: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Start, end and tokens of pieces within the budget, cut at white space or, without any, inside a word."""
        offsets = self._tokenizer.encode(text[start:end], add_special_tokens=False).offsets
        base, token = start, 0
        while start < end:
            budget = self._settings.max_tokens
            while True:
                stop = base + offsets[token + budget][0] if token + budget < len(offsets) else end
                stop = _last_white_space(text, start, stop) if stop < end else end
                # A cut may change how the tokens beside it fall, so the piece is counted by itself.
                num_tokens = self._count(text[start:stop])
                if num_tokens <= self._settings.max_tokens:
                    break
                budget -= max(1, num_tokens - self._settings.max_tokens)
            if text[start:stop].strip():
                yield start, stop, num_tokens
            start = stop
            while token < len(offsets) and base + offsets[token][0] < start:
                token += 1

    def _pack(self, text: str, units: list[_Unit]) -> Iterator[_Packed]:
        """Greedy packing. The overlap gives way where it leaves no room for new text."""
        previous: _Packed | None = None
        new = 0
        while new < len(units):
            first = self._overlap_start(units, previous) if previous else 0
            first, stop = self._fill(units, first, new)
            # Joined units may count differently from their sum: what the chunk's own text counts is what holds.
            while (num_tokens := self._count(text[units[first].start : units[stop - 1].end])) > self._limit(new, stop):
                first, stop = (first + 1, stop) if first < new else (first, stop - 1)
            if num_tokens < self._settings.min_tokens and first > 0:
                first, num_tokens = self._extend_back(text, units, first, stop, num_tokens)
            previous = _Packed(first, new, stop, num_tokens)
            yield previous
            new = stop

    def _limit(self, new: int, stop: int) -> int:
        return self._settings.max_tokens

    def _overlap_start(self, units: list[_Unit], previous: _Packed) -> int:
        """First of the sentences at the end of ``previous`` that are repeated; never all of ``previous``."""
        first, room = previous.stop, self._settings.overlap_tokens
        while first - 1 > previous.first and units[first - 1].repeatable and units[first - 1].num_tokens <= room:
            first -= 1
            room -= units[first].num_tokens
        return first

    def _fill(self, units: list[_Unit], first: int, new: int) -> tuple[int, int]:
        """Range of units that holds unit ``new`` and whose summed tokens are within the budget."""
        total = sum(unit.num_tokens for unit in units[first : new + 1])
        while first < new and total > self._settings.max_tokens:
            total -= units[first].num_tokens
            first += 1
        enough = max(self._settings.min_tokens, self._settings.overlap_tokens)
        stop = new + 1
        while stop < len(units) and total + units[stop].num_tokens <= self._settings.max_tokens:
            if units[stop].opens_long_block and total > enough:
                break
            total += units[stop].num_tokens
            stop += 1
        return first, stop

    def _extend_back(
        self, text: str, units: list[_Unit], first: int, stop: int, num_tokens: int
    ) -> tuple[int, int]:
        """Repeat more than the overlap, so that a section's short last chunk is not rejected."""
        while first > 0 and num_tokens < self._settings.min_tokens:
            longer = self._count(text[units[first - 1].start : units[stop - 1].end])
            if longer > self._settings.max_tokens:
                break
            first, num_tokens = first - 1, longer
        return first, num_tokens

    def _emit(
        self,
        document: Document,
        section_path: tuple[str, ...],
        units: list[_Unit],
        packed: _Packed,
        chunks: list[Row],
        rejected: list[Row],
    ) -> None:
        """Append the chunk, or its rejection when it is too short to say anything."""
        members = units[packed.first : packed.stop]
        start, end = members[0].start, members[-1].end
        kind = _main_kind(members)
        if packed.num_tokens < self._settings.min_tokens and kind not in _ANY_LENGTH:
            rejected.append(_rejection(document, "too_short", start, end))
            return
        text = document.text[start:end]
        identity = f"{document.doc_id}\0{start}\0{end}\0{text}"
        chunks.append(
            {
                "chunk_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
                "doc_id": document.doc_id,
                "source": document.source,
                "title": document.title,
                "section_path": list(section_path),
                "chunk_index": len(chunks),
                "start_char": start,
                "end_char": end,
                "num_tokens": packed.num_tokens,
                "kind": kind,
                "text": text,
            }
        )


def rejected_file(source: str, reason: str, detail: str) -> Row:
    """A row of ``CHUNKS_REJECTED`` for a whole file."""
    return {"source": source, "stage": "chunk", "reason": reason, "detail": detail}


def _rejection(document: Document, reason: str, start: int, end: int) -> Row:
    preview = " ".join(document.text[start : min(end, start + _PREVIEW_CHARS)].split())
    return rejected_file(document.source, reason, f"characters {start} to {end}: {preview}")


def _runs(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Neighbouring blocks that may share a chunk: of one section, with nothing between them that stays out."""
    for _, run in groupby(blocks, key=lambda block: (block.section_path, _CHUNK_KIND.get(block.kind, block.kind) if block.kind not in _CHUNK_KIND else "")):
        yield list(run)


def _line_spans(text: str) -> list[Span]:
    spans, start = [], 0
    for line in text.split("\n"):
        if line.strip():
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _last_white_space(text: str, start: int, stop: int) -> int:
    """Position after the last white space in ``text[start:stop]``, or ``stop`` when there is none but at its start."""
    body = text[start:stop]
    words = body.rsplit(None, 1)
    if text[stop].isspace() or len(words) < 2:
        return stop
    return start + len(body) - len(words[1])


def _main_kind(units: list[_Unit]) -> str:
    """The kind that most characters of ``units`` belong to."""
    chars: Counter[str] = Counter()
    for unit in units:
        chars[unit.kind] += unit.end - unit.start
    return chars.most_common(1)[0][0]

"""Blocks to units, the smallest pieces that packing moves; every unit is within the token budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from qa_core.corpus.counting import TokenCounter
from qa_core.corpus.markdown import Block
from qa_core.corpus.markdown_marks import LIST_ITEM
from qa_core.corpus.sentences import Span, sentence_spans
from qa_core.corpus.tables import line_spans, table_rows

CHUNK_KIND = {
    "paragraph": "prose", "list": "list", "table": "table", "code": "code", "math": "math", "caption": "caption",
    "footnote": "footnote", "references": "references",
}  # fmt: skip
"""Kinds of block that go into chunks, and the chunk kind of each."""

TELLING_AT_ANY_LENGTH = frozenset({"table", "code", "math", "caption", "footnote"})
"""Chunk kinds that are never too short to be kept."""
_CHARS_PER_TOKEN = 4
"""First guess; the text itself corrects it."""


class Unit(NamedTuple):
    """A sentence, a whole block, or a part of a block that alone exceeds the budget."""

    start: int
    end: int
    kind: str
    num_tokens: int
    """Of the unit's own text."""
    repeatable: bool = False
    """A whole sentence, which the next chunk may repeat."""
    opens_long_block: bool = False
    """First part of a block above the budget: better at the start of a chunk, where a table's header meets its rows."""
    header: str = ""
    """Header rows of the table that this part goes on with, which the chunk repeats when it begins here."""


class Measured(NamedTuple):
    """A block and the spans that it is first cut into, with the tokens of each."""

    block: Block
    spans: list[tuple[int, int, int]]


@dataclass(frozen=True)
class Cutter:
    """Cuts by the tokens of one tokenizer."""

    counter: TokenCounter

    def measure(self, text: str, blocks: Sequence[Block]) -> list[Measured]:
        """The sentences of paragraphs, and other blocks whole, all counted in one go: each character is read once."""
        cut = [_first_cut(text, block) for block in blocks]
        counts = iter(self.counter.counts([text[start:end] for spans in cut for start, end in spans]))
        return [
            Measured(block, [(start, end, next(counts)) for start, end in spans])
            for block, spans in zip(blocks, cut, strict=True)
        ]

    def units(self, text: str, measured: Iterable[Measured], budget: int, whole_budget: int) -> Iterator[Unit]:
        """What was measured, in parts where it exceeds ``budget`` tokens.

        A table, formula, code block, caption or list stays whole up to ``whole_budget``: rather its chunk goes without
        a prefix.
        """
        for block, spans in measured:
            kind = CHUNK_KIND[block.kind]
            for start, end, num_tokens in spans:
                if num_tokens <= (budget if kind == "prose" else whole_budget):
                    yield Unit(start, end, kind, num_tokens, repeatable=kind == "prose", header=block.header)
                elif kind == "prose":
                    yield from self._pieces(text, start, end, kind, budget)
                else:
                    yield from self._parts(text, block, kind, budget)

    def _parts(self, text: str, block: Block, kind: str, budget: int) -> Iterator[Unit]:
        """A block above the budget between rows, lines, items or sentences; what is still above it between words."""
        header, spans = _parts_of(text, block)
        header_tokens = self.counter.count(header) + 1 if header else 0
        if header_tokens > budget // 2:
            header, header_tokens = "", 0
        room = budget - header_tokens
        counts = self.counter.counts([text[start:end] for start, end in spans])
        for number, ((start, end), num_tokens) in enumerate(zip(spans, counts, strict=True)):
            opens = number == 0 and not block.header
            repeats = "" if opens else header
            if num_tokens <= room:
                yield Unit(start, end, kind, num_tokens, opens_long_block=opens, header=repeats)
                continue
            for line_start, line_end in line_spans(text[start:end]):
                for part in self._pieces(text, start + line_start, start + line_end, kind, room):
                    first = opens and part.start == start
                    yield part._replace(opens_long_block=first, header="" if first else header)

    def _pieces(self, text: str, start: int, end: int, kind: str, budget: int) -> Iterator[Unit]:
        """``text[start:end]``, which exceeds the budget, cut at white space or, without any, inside a word.

        Tokens beside a cut fall differently once the text stands alone, so each piece is counted by itself. The length
        of the next piece is guessed from the last one: about one and a half encodings of every character in all.
        """
        length = budget * _CHARS_PER_TOKEN
        while start < end:
            stop, num_tokens = self._longest_piece(text, start, end, length, budget)
            if text[start:stop].strip():
                yield Unit(start, stop, kind, num_tokens)
            length = max(1, (stop - start) * budget // max(num_tokens, 1))
            start = stop

    def _longest_piece(self, text: str, start: int, end: int, length: int, budget: int) -> tuple[int, int]:
        """End and tokens of a piece of about ``length`` characters from ``start`` that is within the budget."""
        while True:
            stop = min(start + length, end)
            stop = stop if stop == end else _last_word_end(text, start, stop)
            num_tokens = self.counter.count(text[start:stop])
            if num_tokens <= budget or stop == start + 1:
                return stop, num_tokens
            # A little less than in proportion, so that the next try mostly fits.
            length = max(1, min(stop - start - 1, (stop - start) * budget * 15 // (num_tokens * 16)))


def _first_cut(text: str, block: Block) -> list[Span]:
    if block.kind != "paragraph":
        return [(block.start, block.end)]
    spans = sentence_spans(text[block.start : block.end])
    return [(block.start + start, block.start + end) for start, end in spans]


def _parts_of(text: str, block: Block) -> tuple[str, list[Span]]:
    """What later parts of the block repeat (a table's header), and the spans between which it may be cut."""
    body, header = text[block.start : block.end], block.header
    if block.kind == "list":
        spans = _item_spans(body)
    elif block.kind in ("caption", "footnote"):
        spans = sentence_spans(body)
    elif block.kind == "table":
        header, spans = table_rows(body, header)
    else:
        spans = line_spans(body)
    return header, [(block.start + start, block.start + end) for start, end in spans]


def _item_spans(text: str) -> list[Span]:
    """Start and end of every item of a list, its wrapped lines included; nested items count as items."""
    spans: list[Span] = []
    for start, end in line_spans(text):
        if spans and not LIST_ITEM.match(text, start, end):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _last_word_end(text: str, start: int, stop: int) -> int:
    """Where the last word that began before ``stop`` begins, or ``stop`` when the cut is beside white space anyway."""
    if text[stop].isspace() or text[stop - 1].isspace():
        return stop
    words = text[start:stop].rsplit(None, 1)
    return stop - len(words[1]) if len(words) == 2 else stop

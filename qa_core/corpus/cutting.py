"""Blocks to units, the smallest pieces that packing moves; every unit is within the token budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tokenizers import Tokenizer

from qa_core.corpus.markdown import Block
from qa_core.corpus.sentences import Span, sentence_spans

CHUNK_KIND = {
    "paragraph": "prose", "list": "list", "table": "table", "code": "code", "math": "math", "references": "references",
}  # fmt: skip
"""Kinds of block that go into chunks, and the chunk kind of each."""
_CUT_BETWEEN_SENTENCES = frozenset({"prose", "list"})


@dataclass(frozen=True)
class Unit:
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


@dataclass(frozen=True)
class Cutter:
    """Cuts by the tokens of one tokenizer."""

    tokenizer: Tokenizer
    max_tokens: int

    def count(self, text: str) -> int:
        """Tokens of ``text`` by itself, without special tokens around it."""
        return len(self.tokenizer.encode(text, add_special_tokens=False))

    def units(self, text: str, blocks: Iterable[Block]) -> Iterator[Unit]:
        """Sentences of paragraphs; other blocks whole, or in parts where they exceed the budget."""
        for block in blocks:
            kind = CHUNK_KIND[block.kind]
            if kind == "prose":
                yield from self._parts(text, block, kind, long_block=False)
                continue
            num_tokens = self.count(text[block.start : block.end])
            if num_tokens <= self.max_tokens:
                yield Unit(block.start, block.end, kind, num_tokens)
            else:
                yield from self._parts(text, block, kind, long_block=True)

    def _parts(self, text: str, block: Block, kind: str, *, long_block: bool) -> Iterator[Unit]:
        """The block between sentences or lines, and what is still above the budget between words."""
        by_sentence = kind in _CUT_BETWEEN_SENTENCES
        spans = (sentence_spans if by_sentence else line_spans)(text[block.start : block.end])
        for number, (start, end) in enumerate(spans):
            opens = long_block and number == 0
            for part in self._within_budget(text, block.start + start, block.start + end):
                whole = part.end - part.start == end - start
                yield Unit(part.start, part.end, kind, part.num_tokens, by_sentence and whole, opens)
                opens = False

    def _within_budget(self, text: str, start: int, end: int) -> Iterator[Unit]:
        """One unit, or several when the piece exceeds the budget: cut at white space or, without any, inside a word."""
        encoding = self.tokenizer.encode(text[start:end], add_special_tokens=False)
        if len(encoding) <= self.max_tokens:
            yield Unit(start, end, "", len(encoding))
            return
        token_starts = [start + offset for offset, _ in encoding.offsets]
        token = 0
        while start < end:
            enough = token + self.max_tokens
            stop = max(start + 1, token_starts[enough]) if enough < len(token_starts) else end
            stop, num_tokens = self._shrink(text, start, stop, end)
            if text[start:stop].strip():
                yield Unit(start, stop, "", num_tokens)
            start = stop
            while token < len(token_starts) and token_starts[token] < start:
                token += 1

    def _shrink(self, text: str, start: int, stop: int, end: int) -> tuple[int, int]:
        """The end of a piece from ``start`` to at most ``stop`` whose own text is within the budget, and its tokens.

        Tokens beside a cut fall differently once the text stands alone, so the piece is counted by itself.
        """
        while True:
            stop = stop if stop == end else _last_word_end(text, start, stop)
            num_tokens = self.count(text[start:stop])
            if num_tokens <= self.max_tokens or stop == start + 1:
                return stop, num_tokens
            stop = start + max(1, (stop - start) * self.max_tokens // num_tokens)


def line_spans(text: str) -> list[Span]:
    """Start and end of every line that is not blank."""
    spans, start = [], 0
    for line in text.split("\n"):
        if line.strip():
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _last_word_end(text: str, start: int, stop: int) -> int:
    """Where the last word that began before ``stop`` begins, or ``stop`` when the cut is beside white space anyway."""
    if text[stop].isspace() or text[stop - 1].isspace():
        return stop
    words = text[start:stop].rsplit(None, 1)
    return stop - len(words[1]) if len(words) == 2 else stop

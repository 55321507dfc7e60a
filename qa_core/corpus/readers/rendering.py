"""Blocks of any format to one markdown text, remembering where each stood in its file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qa_core.corpus import markdown_marks as marks
from qa_core.corpus.documents import SourceMap, SpanUnit

_GAP = "\n\n"
_BLOCK_MARK = re.compile(r"[#>|]|[-*+](?:[ \t]|$)|={3,}$|\$\$|\\\[|\\begin\{|<!--")
_BLOCK_MARKS = (_BLOCK_MARK, marks.FENCE, marks.GRID_BORDER, marks.HTML_BLOCK)
"""What would begin a block of its own if a plain paragraph started with it."""
_NUMBERED = re.compile(r"(\d{1,9})([.)])(?=[ \t]|$)")


class MarkdownWriter:
    """Collects blocks in reading order.

    Every method takes the span of the block in its file, in the writer's unit (see :class:`SourceMap`).
    """

    def __init__(self, unit: SpanUnit) -> None:
        self._unit = unit
        self._parts: list[str] = []
        self._length = 0
        self._spans: list[tuple[int, int, int, int]] = []

    def heading(self, level: int, words: str, start: int, end: int) -> None:
        if title := " ".join(words.split()):
            self.block(f"{'#' * min(max(level, 1), 6)} {title}", start, end)

    def paragraph(self, words: str, start: int, end: int) -> None:
        """Plain words on one line; a leading mark that markdown would take for another block is escaped."""
        self.block(_escaped(" ".join(words.split())), start, end)

    def code(self, body: str, start: int, end: int, language: str = "") -> None:
        longest = max((len(run) for run in re.findall(r"`{3,}", body)), default=2)
        fence = "`" * (longest + 1)
        body = body.strip("\n").rstrip()
        if body.strip():
            self.block(f"{fence}{language}\n{body}\n{fence}", start, end)

    def math(self, body: str, start: int, end: int) -> None:
        """Display math in LaTeX notation; blank lines, which would end it, are dropped."""
        lines = [line.rstrip() for line in body.split("\n") if line.strip()]
        if lines:
            self.block("\n".join(["$$", *lines, "$$"]), start, end)

    def list(self, items: Sequence[str], start: int, end: int, *, ordered: bool = False) -> None:
        marks = (f"{number}." if ordered else "-" for number in range(1, len(items) + 1))
        lines = [f"{mark} {' '.join(item.split())}" for mark, item in zip(marks, items, strict=False) if item.strip()]
        self.block("\n".join(lines), start, end)

    def table(self, rows: Sequence[Sequence[str]], start: int, end: int) -> None:
        """A pipe table whose first row is the header; short rows are filled up."""
        width = max(map(len, rows), default=0)
        if not width:
            return
        cells = [[_cell(cell) for cell in row] + [""] * (width - len(row)) for row in rows]
        lines = [f"| {' | '.join(row)} |" for row in cells]
        self.block("\n".join([lines[0], "|" + "---|" * width, *lines[1:]]), start, end)

    def block(self, markdown: str, start: int, end: int) -> None:
        """Anything that is markdown already."""
        if not markdown.strip():
            return
        if self._parts:
            self._parts.append(_GAP)
            self._length += len(_GAP)
        self._spans.append((self._length, self._length + len(markdown), start, end))
        self._parts.append(markdown)
        self._length += len(markdown)

    def text(self) -> str:
        return "".join([*self._parts, "\n"]) if self._parts else ""

    def source_map(self) -> SourceMap:
        columns = zip(*self._spans, strict=True) if self._spans else [()] * 4
        return SourceMap(self._unit, *map(tuple, columns))


def _escaped(line: str) -> str:
    """``line`` so that it begins no block of its own."""
    if marks.FOOTNOTE.match(line):
        return f"[\\{line[1:]}"  # a mark before the bracket would open display math
    if marks.is_thematic_break(line) or any(mark.match(line) for mark in _BLOCK_MARKS):
        return f"\\{line}"
    return _NUMBERED.sub(r"\1\\\2", line, count=1) if _NUMBERED.match(line) else line


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

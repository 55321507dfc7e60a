"""Markdown to blocks with exact character offsets, in time linear in the text.

The block structure follows CommonMark 0.31 and the table and footnote extensions of GFM 0.29, with the additions that
papers use: display math, captions, YAML front matter, reference sections, grid tables and whole HTML tables and
figures. Inline markup stays as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

from qa_core.corpus import markdown_marks as marks
from qa_core.corpus.markdown_lines import BlockKind, Lines


class Block(NamedTuple):
    """``text[start:end]`` is the block, without the line break after it; offsets count Unicode code points."""

    kind: BlockKind
    start: int
    end: int
    section_path: tuple[str, ...]
    """Headings above the block, outermost first; for a heading, itself included."""
    header: str = ""
    """Header rows of the table that this block goes on with, in a later stretch of a very long text."""


class _Open(NamedTuple):
    """A block that the end of a stretch cut in two."""

    kind: BlockKind
    fence: str
    header: str


def parse_blocks(text: str) -> Iterator[Block]:
    """The blocks of ``text`` in order; between them there is only white space and thematic breaks."""
    return MarkdownParser().parse(text)


class MarkdownParser:
    """Remembers the headings above, so that a long text may come in several stretches."""

    def __init__(self) -> None:
        self._headings: list[tuple[int, str]] = []
        self._path: tuple[str, ...] = ()
        self._in_references = False
        self._opens = True
        self._open: _Open | None = None

    def cut_inside(self, text: str, block: Block) -> None:
        """The next stretch goes on inside ``block``, with which ``text`` ends; fences and pipe tables survive that."""
        if self._open and block.start == 0:
            return
        first, _, rest = text[block.start : block.end].partition("\n")
        fence = marks.FENCE.match(first)
        if block.kind == "code" and fence:
            self._open = _Open("code", fence.group(1), "")
        elif block.kind == "table" and marks.is_delimiter_row(border := rest.partition("\n")[0]):
            self._open = _Open("table", "", f"{first}\n{border}")

    def parse(self, text: str) -> Iterator[Block]:
        """The blocks of ``text``, which goes on where the text before it ended."""
        lines = Lines(text)
        blobs = [match.span() for match in marks.EMBEDDED_DATA.finditer(text)]
        next_blob = 0
        for block in self._blocks(lines):
            while next_blob < len(blobs) and blobs[next_blob][1] <= block.end:
                start, end = blobs[next_blob]
                yield from _trimmed(text, block._replace(end=start))
                yield block._replace(kind="embedded_data", start=start, end=end)
                block = block._replace(start=end)
                next_blob += 1
            yield from _trimmed(text, block)
        self._opens = False

    def _blocks(self, lines: Lines) -> Iterator[Block]:
        i = lines.front_matter_end() if self._opens else 0
        if i:
            yield self._block("front_matter", lines, 0, i)
        elif self._open:
            i = lines.fence_end(0, self._open.fence) if self._open.fence else lines.pipe_table_end(0)
            if i:
                yield self._block(self._open.kind, lines, 0, i)._replace(header=self._open.header)
            if i < lines.count and lines.starts[i] < len(lines.text):
                self._open = None
        while i < lines.count:
            kind, stop = lines.recognise(i)
            if kind == "heading":
                self._enter_section(lines, i, stop)
            if kind == "comment":
                start, end = lines.cut_after_comment(i, stop)
                yield Block("comment", start, end, self._path)
                i = stop - 1  # what follows the comment on its last line is still to be read
                continue
            if kind is not None:
                yield self._block(kind, lines, i, stop)
            i = stop

    def _block(self, kind: BlockKind, lines: Lines, first: int, stop: int) -> Block:
        start, end = lines.starts[first], lines.ends[stop - 1]
        if kind not in ("heading", "front_matter") and self._in_references:
            kind = "references"
        elif kind == "paragraph":
            kind = _kind_of_paragraph(lines.text, lines.heads[first], start, end)
        return Block(kind, start, end, self._path)

    def _enter_section(self, lines: Lines, first: int, stop: int) -> None:
        line = lines.line(first)
        if stop - first == 2:
            level, title = (1 if lines.heads[stop - 1] == "=" else 2), line
        else:
            level, title = marks.atx_level(line), line.strip().lstrip("#")
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._headings.append((level, marks.plain_heading(title)))
        self._path = tuple(title for _, title in self._headings if title)
        self._in_references = any(map(marks.is_references_title, self._path))


def _kind_of_paragraph(text: str, head: str, start: int, end: int) -> BlockKind:
    if head == "[" and marks.is_reference_entry(text, start, end):
        return "references"
    if head == ">" and (kind := marks.quoted_kind(text, start, end)):
        return cast(BlockKind, kind)
    return "caption" if marks.is_caption(text, start, end) else "paragraph"


def _trimmed(text: str, block: Block) -> Iterator[Block]:
    """``block`` without white space around it (indentation stays); nothing when only white space is left."""
    body = text[block.start : block.end]
    stripped = body.rstrip()
    if stripped:
        leading = len(body) - len(body.lstrip("\n"))
        yield block._replace(start=block.start + leading, end=block.start + len(stripped))

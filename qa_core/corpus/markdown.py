"""Markdown to blocks with exact character offsets, in time linear in the text.

The block structure follows CommonMark 0.31 and the table extension of GFM 0.29, with the additions that papers use:
display math, YAML front matter and reference sections. Inline markup stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

BlockKind = Literal[
    "heading", "paragraph", "list", "table", "code", "math", "references", "front_matter", "comment", "embedded_data"
]

MAX_HEADING_CHARS = 300
"""A longer "heading" is a paragraph with a stray mark, and its text must not vanish into a section path."""

_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
# Only these may interrupt a paragraph: a wrapped line that starts with "2019." is no list.
_FIRST_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+]|1[.)])[ \t]")
_FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})")
_SETEXT_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_DELIMITER_CELL = re.compile(r":?-+:?")
_MATH_ENVIRONMENT = re.compile(r"\\begin\{((?:equation|align|gather|multline|eqnarray|displaymath)\*?)\}")
_AFTER_MATH = re.compile(r"[.,;]?\s*(?:\([\w.]+\)|\{[#:][^{}]*\})?[.,;]?")
_YAML_START = re.compile(r"[\w\"'-]+[ \t]*:|#|\{")
_EMBEDDED_DATA = re.compile(r";base64,[A-Za-z0-9+/=]{256,}")
_REFERENCES = re.compile(
    r"(?:[\dIVX]+\.?\s)?\s*(?:references|bibliography|works cited|literature cited|参考文献)(?: and notes)?\s*:?",
    re.IGNORECASE,
)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"<[^<>]+>")
_ATTRIBUTES = re.compile(r"\{[#.:][^{}]*\}$")


@dataclass(frozen=True)
class Block:
    """``text[start:end]`` is the block, without the line break after it; offsets count Unicode code points."""

    kind: BlockKind
    start: int
    end: int
    section_path: tuple[str, ...]
    """Headings above the block, outermost first; for a heading, itself included."""


def parse_blocks(text: str) -> Iterator[Block]:
    """The blocks of ``text`` in order; between them there is only white space and thematic breaks."""
    blobs = [match.span() for match in _EMBEDDED_DATA.finditer(text)]
    next_blob = 0
    for block in _Parser(text).blocks():
        while next_blob < len(blobs) and blobs[next_blob][1] <= block.end:
            start, end = blobs[next_blob]
            yield from _trimmed(text, replace(block, end=start))
            yield replace(block, kind="embedded_data", start=start, end=end)
            block = replace(block, start=end)
            next_blob += 1
        yield from _trimmed(text, block)


def _trimmed(text: str, block: Block) -> Iterator[Block]:
    """``block`` without white space around it (indentation stays); nothing when only white space is left."""
    body = text[block.start : block.end]
    if body.strip():
        leading = len(body) - len(body.lstrip("\n"))
        yield replace(block, start=block.start + leading, end=block.start + len(body.rstrip()))


class _Parser:
    """A single pass over the lines; every look-ahead is either consumed or remembered as vain."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = list(_line_spans(text))
        self.headings: list[tuple[int, str]] = []
        self.unclosed: dict[str, int] = {}
        """Math closer -> the line before which there is none."""
        self.comments_closed = True

    def line(self, i: int) -> str:
        start, end = self.lines[i]
        return self.text[start:end]

    def blocks(self) -> Iterator[Block]:
        i = self._front_matter_end()
        if i:
            yield self._block("front_matter", 0, i)
        while i < len(self.lines):
            kind, stop = self._recognise(i)
            if kind == "heading":
                self._enter_section(i, stop)
            if kind == "comment":
                yield self._comment(i, stop)
                i = stop - 1  # what follows the comment on its last line is still to be read
            elif kind is not None:
                yield self._block(kind, i, stop)
                i = stop
            else:
                i = stop

    def _recognise(self, i: int) -> tuple[BlockKind | None, int]:
        """Kind of the block at line ``i`` (None: nothing to keep) and the line after it."""
        line = self.line(i)
        if not line.strip() or _is_thematic_break(line):
            return None, i + 1
        if stop := self._comment_end(i):
            return "comment", stop
        if _FENCE.match(line):
            return "code", self._fence_end(i)
        if stop := self._math_end(i):
            return "math", stop
        if _atx_level(line):
            return "heading", i + 1
        if self._is_table(i):
            return "table", self._table_end(i)
        if _LIST_ITEM.match(line):
            return "list", self._list_end(i)
        return self._paragraph(i)

    def _block(self, kind: BlockKind, first: int, stop: int) -> Block:
        if kind not in ("heading", "front_matter") and any(_REFERENCES.fullmatch(title) for title in self._path()):
            kind = "references"
        return Block(kind, self.lines[first][0], self.lines[stop - 1][1], self._path())

    def _path(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.headings if title)

    def _enter_section(self, first: int, stop: int) -> None:
        line = self.line(first)
        if stop - first == 2:
            level, title = (1 if "=" in self.line(stop - 1) else 2), line
        else:
            level = _atx_level(line)
            title = line.strip().lstrip("#")
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        self.headings.append((level, plain_heading(title)))

    def _front_matter_end(self) -> int:
        """Line after a YAML block that opens the text, or 0."""
        if len(self.lines) < 3 or self.line(0).rstrip() != "---" or not _YAML_START.match(self.line(1)):
            return 0
        closers = (i for i in range(1, len(self.lines)) if self.line(i).rstrip() in ("---", "..."))
        return next(closers, -1) + 1

    def _comment_end(self, i: int) -> int | None:
        start, end = self.lines[i]
        opener = self.text.find("<!--", start, end)
        if opener < 0 or not self.comments_closed or self.text[start:opener].strip():
            return None
        closer = self.text.find("-->", opener + 4)
        if closer < 0:
            self.comments_closed = False
            return None
        while self.lines[i][1] < closer + 3:
            i += 1
        return i + 1

    def _comment(self, first: int, stop: int) -> Block:
        start, last_line_end = self.lines[first][0], self.lines[stop - 1][1]
        end = self.text.find("-->", self.text.find("<!--", start) + 4) + 3
        self.lines[stop - 1] = (end, last_line_end)
        return Block("comment", start, end, self._path())

    def _fence_end(self, i: int, *, inside_list: bool = False) -> int:
        """An unclosed fence runs to the end of the text, or of the list item that holds it."""
        fence = _FENCE.match(self.line(i))
        assert fence is not None
        mark = fence.group(1)
        for j in range(i + 1, len(self.lines)):
            line = self.line(j)
            closing = line.strip()
            if len(closing) >= len(mark) and not closing.strip(mark[0]):
                return j + 1
            if inside_list and line[:1].strip():
                return j
        return len(self.lines)

    def _math_end(self, i: int) -> int | None:
        """Display math ends with its closing mark at the end of a line; a blank line before that makes it prose."""
        line = self.line(i).strip()
        closer = _math_closer(line)
        if closer is None or i < self.unclosed.get(closer, 0):
            return None
        body = line[2:] if closer in ("$$", r"\]") else line
        for j in range(i, len(self.lines)):
            body = body if j == i else self.line(j).strip()
            if closer in body:
                if _AFTER_MATH.fullmatch(body.split(closer, 1)[1].strip()):
                    return j + 1
                break
            if j > i and not body:
                break
        self.unclosed[closer] = j
        return None

    def _is_table(self, i: int) -> bool:
        if i + 1 >= len(self.lines) or "|" not in self.line(i):
            return False
        row = self.line(i + 1).strip()
        return "|" in row and all(_DELIMITER_CELL.fullmatch(cell.strip()) for cell in row.strip("|").split("|"))

    def _table_end(self, i: int) -> int:
        while i < len(self.lines) and "|" in self.line(i):
            i += 1
        return i

    def _list_end(self, i: int) -> int:
        """A list goes on over blank lines as long as an item or an indented line follows."""
        stop = i
        while i < len(self.lines):
            line = self.line(i)
            if not line.strip():
                i += 1
                continue
            after_blank = i > stop
            if _FENCE.match(line) and line[:1].isspace():
                i = stop = self._fence_end(i, inside_list=True)
                continue
            if not (_LIST_ITEM.match(line) or line[:1].isspace()) and (after_blank or self._interrupts(i)):
                break
            if _is_thematic_break(line):
                break
            i = stop = i + 1
        return stop

    def _paragraph(self, i: int) -> tuple[BlockKind, int]:
        stop = i + 1
        while stop < len(self.lines) and self.line(stop).strip():
            short = len(self.line(i)) <= MAX_HEADING_CHARS
            if stop == i + 1 and short and _SETEXT_UNDERLINE.match(self.line(stop)):
                return "heading", stop + 1
            if self._interrupts(stop) or _FIRST_LIST_ITEM.match(self.line(stop)):
                break
            stop += 1
        return "paragraph", stop

    def _interrupts(self, i: int) -> bool:
        """Whether line ``i`` begins a block of its own although no blank line is before it."""
        line = self.line(i)
        return bool(
            _FENCE.match(line)
            or _atx_level(line)
            or _is_thematic_break(line)
            or self._is_table(i)
            or self._comment_end(i)
            or self._math_end(i)
        )


def _line_spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line)
        start += len(line) + 1


def plain_heading(line: str) -> str:
    """A heading's words without closing marks, attributes, links, tags and emphasis."""
    title = line.strip()
    unclosed = title.rstrip("#")
    if unclosed != title and unclosed[-1:].isspace():
        title = unclosed
    title = _ATTRIBUTES.sub("", title.strip())
    title = _TAG.sub("", _LINK.sub(r"\1", title))
    return " ".join(title.replace("**", "").replace("__", "").replace("`", "").split())


def _atx_level(line: str) -> int:
    """1 to 6 for ``# heading`` to ``###### heading``, 0 for any other line."""
    stripped = line.lstrip(" ")
    if len(line) - len(stripped) > 3 or not stripped.startswith("#") or len(line) > MAX_HEADING_CHARS:
        return 0
    rest = stripped.lstrip("#")
    level = len(stripped) - len(rest)
    return level if level <= 6 and (not rest or rest[0].isspace()) else 0


def _is_thematic_break(line: str) -> bool:
    marks = "".join(line.split())
    return len(marks) >= 3 and marks[0] in "-*_" and not marks.strip(marks[0])


def _math_closer(line: str) -> str | None:
    if line.startswith("$$"):
        return "$$"
    if line.startswith(r"\["):
        return r"\]"
    environment = _MATH_ENVIRONMENT.match(line)
    return rf"\end{{{environment.group(1)}}}" if environment else None

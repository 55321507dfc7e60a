"""Which lines of a markdown text belong to one block, in time linear in the text."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Literal, cast

from qa_core.corpus import markdown_marks as marks
from qa_core.corpus.front_matter import front_matter_end

BlockKind = Literal[
    "heading", "paragraph", "list", "table", "code", "math", "caption", "footnote", "references",
    "front_matter", "comment", "embedded_data",
]  # fmt: skip

_MAY_INTERRUPT = frozenset("#`~$\\|+-*_<1[")
"""First characters of the lines that can begin a block right after a line of prose."""


class Lines:
    """The lines of one text. Every look-ahead is either consumed or remembered as vain."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = text.split("\n")
        self.count = len(self._lines)
        self.heads = [line.lstrip()[:1] for line in self._lines]
        """First character of each line that is not white space; empty for a blank line."""
        lengths = [len(line) for line in self._lines]
        self.starts = list(accumulate(lengths[:-1], lambda start, length: start + length + 1, initial=0))
        self.ends = [start + length for start, length in zip(self.starts, lengths, strict=True)]
        self._unclosed: dict[str, int] = {}
        """Closer -> the line before which there is none."""

    def line(self, i: int) -> str:
        return self._lines[i]

    def recognise(self, i: int) -> tuple[BlockKind | None, int]:
        """Kind of the block at line ``i`` (None: nothing to keep) and the line after it."""
        if not self.heads[i]:
            return None, i + 1
        if self.heads[i] in _MAY_INTERRUPT or self.heads[i].isdigit():
            if marks.is_thematic_break(self._lines[i]):
                return None, i + 1
            if found := self._marked(i):
                return found
            if marks.LIST_ITEM.match(self._lines[i]):
                return "list", self._list_end(i)
        if self._is_table(i):
            return "table", self.pipe_table_end(i)
        if self._lines[i].startswith(("    ", "\t")):
            return "code", self._indented_end(i)
        return self._paragraph(i)

    def _marked(self, i: int) -> tuple[BlockKind, int] | None:
        """The block that the first character of line ``i`` announces, other than a list or a break."""
        line, head = self._lines[i], self.heads[i]
        if head == "#":
            return ("heading", i + 1) if marks.atx_level(line) else None
        if head in "`~":
            fence = marks.FENCE.match(line)
            return ("code", self.fence_end(i + 1, fence.group(1))) if fence else None
        if head in "$\\":
            stop = self._math_end(i)
            return ("math", stop) if stop else None
        if head == "+":
            return ("table", self._grid_table_end(i)) if marks.GRID_BORDER.match(line) else None
        if head == "[":
            return ("footnote", self._footnote_end(i)) if marks.FOOTNOTE.match(line) else None
        return self._html(i) if head == "<" else None

    def _interrupts(self, i: int) -> bool:
        """Whether line ``i`` begins a block of its own although no blank line is before it."""
        head, line = self.heads[i], self._lines[i]
        if head == "[":
            return marks.FOOTNOTE.match(line) is not None
        if head in _MAY_INTERRUPT and (
            self._marked(i) or marks.is_thematic_break(line) or marks.FIRST_LIST_ITEM.match(line)
        ):
            return True
        return self._is_table(i)

    def front_matter_end(self) -> int:
        """Line after a YAML block that opens the text, or 0."""
        return front_matter_end(self._lines)

    def cut_after_comment(self, first: int, stop: int) -> tuple[int, int]:
        """The comment's span; its last line then begins after it."""
        start = self.starts[first]
        end = self.text.find("-->", self.text.find("<!--", start) + 4) + 3
        self.starts[stop - 1] = end
        self._lines[stop - 1] = self.text[end : self.ends[stop - 1]]
        self.heads[stop - 1] = self._lines[stop - 1].lstrip()[:1]
        return start, end

    def _html(self, i: int) -> tuple[BlockKind, int] | None:
        if self._lines[i].lstrip().startswith("<!--"):
            stop = self._closed_at(self._find_comment_end, "-->", i)
            return ("comment", stop) if stop else None
        if opener := marks.HTML_BLOCK.match(self._lines[i]):
            name = opener.group(1).lower()
            if stop := self._closed_at(self._find_closing_tag, name, i):
                return cast(BlockKind, marks.HTML_BLOCK_KIND[name]), stop
        return None

    def _closed_at(self, find: Callable[[str, int], int], closer: str, i: int) -> int | None:
        """The line after the one where what line ``i`` opens is closed."""
        if i < self._unclosed.get(closer, 0):
            return None
        found = find(closer, self.text.index("<", self.starts[i]))
        if found < 0:
            self._unclosed[closer] = self.count
            return None
        while self.ends[i] < found:
            i += 1
        return i + 1

    def _find_comment_end(self, closer: str, opener: int) -> int:
        found = self.text.find(closer, opener + 4)
        return found + len(closer) if found >= 0 else found

    def _find_closing_tag(self, name: str, opener: int) -> int:
        """End of the tag's name that closes ``<name`` at ``opener``; elements of the same name may be nested."""
        depth = 0
        for tag in marks.HTML_TAG[name].finditer(self.text, opener):
            depth += -1 if tag.group(1) else 1
            if not depth:
                return tag.end()
        return -1

    def fence_end(self, i: int, mark: str, *, inside_list: bool = False) -> int:
        """An unclosed fence runs to the end of the text, or of the list item that holds it."""
        for j in range(i, self.count):
            if self.heads[j] == mark[0]:
                closing = self._lines[j].strip()
                if len(closing) >= len(mark) and not closing.strip(mark[0]):
                    return j + 1
            if inside_list and self._lines[j][:1].strip():
                return j
        return self.count

    def _math_end(self, i: int) -> int | None:
        """Display math ends with its closing mark at the end of a line; a blank line before that makes it prose."""
        closer = marks.math_closer(self._lines[i])
        if closer is None or i < self._unclosed.get(closer, 0):
            return None
        body = self._lines[i].lstrip()[2:] if closer in ("$$", r"\]") else self._lines[i]
        j = i
        while True:
            if closer in body:
                if marks.ends_math(body.split(closer, 1)[1]):
                    return j + 1
                break
            j += 1
            if j >= self.count or not self.heads[j]:
                break
            body = self._lines[j]
        self._unclosed[closer] = j
        return None

    def _is_table(self, i: int) -> bool:
        if i + 1 >= self.count or self.heads[i + 1] not in ("|", ":", "-"):
            return False
        return "|" in self._lines[i] and marks.is_delimiter_row(self._lines[i + 1])

    def pipe_table_end(self, i: int) -> int:
        while i < self.count and "|" in self._lines[i] and not (self.heads[i] in "#`~" and self._marked(i)):
            i += 1
        return i

    def _grid_table_end(self, i: int) -> int:
        while i < self.count and self.heads[i] in ("+", "|"):
            i += 1
        return i

    def _footnote_end(self, i: int) -> int:
        """A footnote goes on over wrapped lines, and over blank lines as long as indented ones follow."""
        stop = i = i + 1
        while i < self.count:
            if self.heads[i]:
                indented = self._lines[i].startswith(("    ", "\t"))
                if not indented and (i > stop or self._interrupts(i)):
                    break
                stop = i + 1
            i += 1
        return stop

    def _indented_end(self, i: int) -> int:
        stop = i
        while i < self.count and (not self.heads[i] or self._lines[i].startswith(("    ", "\t"))):
            if self.heads[i]:
                stop = i + 1
            i += 1
        return stop

    def _list_end(self, i: int) -> int:
        """A list goes on over blank lines as long as an item or an indented line follows."""
        stop = i
        while i < self.count:
            line = self._lines[i]
            if not self.heads[i]:
                i += 1
                continue
            item = marks.LIST_ITEM.match(line)
            if not (line[0].isspace() or item) and (i > stop or self._interrupts(i)):
                break
            if marks.is_thematic_break(line):
                break
            fence = marks.FENCE.match(line, item.end() if item else 0) if item or line[0].isspace() else None
            i = stop = i + 1
            if fence:
                i = self.fence_end(i, fence.group(1), inside_list=True)
                stop = self._last_filled(i) + 1
        return stop

    def _last_filled(self, stop: int) -> int:
        """The last line before ``stop`` that is not blank."""
        while not self.heads[stop - 1]:
            stop -= 1
        return stop - 1

    def _paragraph(self, i: int) -> tuple[BlockKind, int]:
        stop = i + 1
        if stop < self.count and self.heads[stop] in ("-", "=") and marks.SETEXT_UNDERLINE.match(self._lines[stop]):
            if len(self._lines[i]) <= marks.MAX_HEADING_CHARS:
                return "heading", stop + 1
            return "paragraph", stop
        while stop < self.count and self.heads[stop] and not self._interrupts(stop):
            stop += 1
        return "paragraph", stop

"""Blocks of a PDF as text: hyphens at line ends undone, raised letters and notes marked, headings given a level."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from qa_core.corpus.readers.pdf.blocks import BULLET, KNOWN, NOTE_MARK, NUMBERED, Block
from qa_core.corpus.readers.pdf.layout import RAISED, RAISED_END, Line
from qa_core.corpus.readers.pdf.text import HYPHEN

_RAISED = re.compile(f"{RAISED}([^{RAISED}{RAISED_END}]*){RAISED_END}")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LAST_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_SHORT_WORD = re.compile(r"(?<!\w)\w{1,2}$")
_ROMAN = re.compile(r"[IVX]+\.")


class Prose:
    """Text of blocks, with what the whole paper tells about its words and its notes."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._words = Counter[str]()
        for block in blocks:
            for line in block.lines:
                self._words.update(_WORD.findall(line.text.lower()))
        notes = [block for block in blocks if block.kind == "footnote"]
        marks = Counter(note.mark for note in notes)
        self._ids: dict[tuple[int, str], str] = {}
        for note in notes:
            unique = note.mark.isalnum() and marks[note.mark] == 1
            self._ids[note.pages[0], note.mark] = note.mark if unique else f"p{note.pages[0]}-{note.mark}"

    def text(self, block: Block) -> str:
        joined = ""
        for line in _left_to_right(block.lines) if block.kind == "formula" else block.lines:
            joined = self._join(joined, self._line(line))
        return joined.replace(HYPHEN, "-")

    def item(self, block: Block) -> str:
        return BULLET.sub("", self.text(block), count=1)

    def note_id(self, block: Block) -> str:
        return self._ids[block.pages[0], block.mark]

    def note(self, block: Block) -> str:
        joined = ""
        for line in block.lines:
            text = NOTE_MARK.sub("", line.text, count=1) if line is block.lines[0] else line.text
            joined = self._join(joined, _RAISED.sub(r"^\1", text))
        return joined.replace(HYPHEN, "-")

    def _line(self, line: Line) -> str:
        """A raised mark that a note on the page has is a reference to it, any other an exponent."""

        def shown(found: re.Match[str]) -> str:
            label = self._ids.get((line.page, found.group(1).strip()))
            unit = _SHORT_WORD.search(line.text, max(found.start() - 3, 0), found.start())
            return f"[^{label}]" if label and not unit else f"^{found.group(1)}"

        return _RAISED.sub(shown, line.text)

    def _join(self, before: str, after: str) -> str:
        if not before:
            return after
        if before.endswith((HYPHEN, "-")) and "/" in before[before.rfind(" ") + 1 :]:
            return f"{before[:-1]}-{after}"
        cut = before.endswith((HYPHEN, "-")) and after[:1].islower()
        if not cut:
            return f"{before} {after}"
        head, tail = _LAST_WORD.search(before[:-1]), _FIRST_WORD.match(after)
        if head and tail and self._keeps_hyphen(head.group().lower(), tail.group().lower()):
            return f"{before[:-1]}-{after}"
        return before[:-1] + after

    def _keeps_hyphen(self, head: str, tail: str) -> bool:
        """``well-known`` cut at its hyphen keeps it when the paper writes it so elsewhere, or in a longer chain."""
        if self._words[head + tail]:
            return False
        return "-" in head or self._words[f"{head}-{tail}"] > 0


def _left_to_right(lines: Sequence[Line]) -> list[Line]:
    """The parts of a formula row by row: what shares some height with a row belongs to it."""
    rows: list[list[Line]] = []
    bottom = float("-inf")
    for line in sorted(lines, key=lambda line: line.top):
        if rows and line.top < bottom - 0.1 * line.size:
            rows[-1].append(line)
        else:
            rows.append([line])
        bottom = max(bottom, line.bottom)
    return [line for row in rows for line in sorted(row, key=lambda line: line.x0)]


def heading_levels(blocks: Sequence[Block]) -> list[int]:
    """1 for the title, deeper by number, else by size; 0 for what is no heading."""
    headings = [block for block in blocks if block.kind == "heading"]
    texts = [" ".join(line.text for line in block.lines) for block in headings]
    has_roman = sum(bool(_ROMAN.match(text)) for text in texts) > 1
    numbered = [
        block.lines[0].size for block, text in zip(headings, texts, strict=True) if _depth(text, has_roman) == 2
    ]
    sizes = sorted({round(block.lines[0].size) for block in headings}, reverse=True)
    levels = []
    for block in blocks:
        text = " ".join(line.text for line in block.lines)
        if block.kind != "heading":
            levels.append(int(block.kind == "title"))
        elif depth := _depth(text, has_roman):
            levels.append(depth)
        elif KNOWN.fullmatch(text.strip().rstrip(".:")):
            levels.append(2)
        elif numbered:
            levels.append(2 if block.lines[0].size >= min(numbered) - 0.5 else 3)
        else:
            levels.append(2 + min(sizes.index(round(block.lines[0].size)), 3))
    return levels


def _depth(text: str, has_roman: bool) -> int:
    """Level by number: ``2`` is 2, ``2.1`` 3; below roman numbers letters are 3 and digits 4."""
    found = NUMBERED.match(text)
    if not found:
        return 0
    parts = [part for part in found.group(1).split(".") if part]
    if not has_roman or _ROMAN.match(text):
        return 1 + len(parts)
    return 3 if parts[0].isalpha() else 4

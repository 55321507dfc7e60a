"""Lines in reading order to headings, paragraphs, captions, tables and footnotes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from qa_core.corpus.readers.pdf.layout import RAISED, RAISED_END, Line
from qa_core.corpus.readers.pdf.text import HYPHEN

BlockKind = Literal["title", "heading", "paragraph", "item", "formula", "caption", "table", "footnote", "reference"]

MAX_HEADING_CHARS = 200

_SENTENCE_END = re.compile(r"[.?!:;…][\"'”’)\]]*(?:[_^]?\d+)?$")
NUMBERED = re.compile(
    r"((?:\d{1,2}\.){0,4}\d{1,2}\.?|[IVX]{1,5}\.|[A-H]\.(?:\d{1,2}\.?)*|Appendix [A-Z\d]\b[.:]?)\s+(?=\S)"
)
KNOWN = re.compile(
    r"abstract|introduction|conclusions?|references|bibliography|acknowledge?ments?|discussion|appendix|appendices|"
    r"related work|methods?|results|keywords|summary|works cited|literature cited",
    re.IGNORECASE,
)
_REFERENCES = re.compile(r"(?:references|bibliography|works cited|literature cited)(?: and notes)?[.:]?", re.IGNORECASE)
_CAPTION = re.compile(
    r"(?:fig(?:ure|\.)?|table|algorithm|listing|scheme)\s*\.?\s*(?:[A-Z]?\d+|[IVX]+\b)", re.IGNORECASE
)
BULLET = re.compile(r"[•◦▪‣∙●○■–]\s+|[*·-]\s+(?=\S)")
_ITEM_NUMBER = re.compile(r"\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})[.)]\s+\S")
_REFERENCE_MARK = re.compile(r"\[[\w+.-]{1,12}\]\s|\d{1,3}\.\s")
NOTE_MARK = re.compile(rf"(?:{RAISED}([\w∗*†‡§¶‖#]{{1,3}}){RAISED_END}|([∗*†‡§¶‖]))\s*(?=\S)")
_NUMBER_AT_END = re.compile(r"\([\w.]{1,8}\)$")
_PROSE_WORD = re.compile(r"[A-Za-z]{4,}")


@dataclass(slots=True)
class Block:
    kind: BlockKind
    lines: list[Line] = field(default_factory=list)
    mark: str = ""
    """Of a footnote."""

    @property
    def pages(self) -> tuple[int, int]:
        return min(line.page for line in self.lines), max(line.page for line in self.lines)


def body_size(lines: Iterable[Line]) -> float:
    """The size that most characters have."""
    sizes = Counter[float]()
    for line in lines:
        sizes[round(line.size * 2) / 2] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def blocks_of(lines: Sequence[Line]) -> list[Block]:
    """All blocks; what floats between two halves of a paragraph comes after it."""
    return _Builder(body_size(lines)).build(lines)


class _Builder:
    def __init__(self, body: float) -> None:
        self.body = body
        self.blocks: list[Block] = []
        self.floating: list[Block] = []
        self.open: Block | None = None
        """The block that the next line may belong to."""
        self.paragraph: Block | None = None
        """The paragraph that may go on behind what floats."""
        self.in_references = False

    def build(self, lines: Sequence[Line]) -> list[Block]:
        for line in lines:
            self._add(line)
        self._settle()
        return self.blocks

    def _add(self, line: Line) -> None:
        kind, mark = self._kind(line)
        if self.open and self._belongs(self.open, line, kind):
            self.open.lines.append(line)
            return
        block = Block(kind, [line], mark)
        self.open = block
        if kind in ("table", "caption", "footnote") or self._is_aside(line, kind):
            self.floating.append(block)
        elif kind == "paragraph" and self.paragraph and self.floating and _goes_on(self.paragraph, line, self.body):
            self.paragraph.lines.append(line)
            self.open = self.paragraph
        else:
            self._settle()
            self.blocks.append(block)
            self.paragraph = block if kind in ("paragraph", "item", "reference") else None
        if kind == "heading":
            self.in_references = bool(_REFERENCES.fullmatch(NUMBERED.sub("", line.text.strip())))

    def _is_aside(self, line: Line, kind: BlockKind) -> bool:
        """Small print in the middle of a sentence, such as a copyright notice at the foot of the page."""
        cut = self.paragraph.lines if self.paragraph else []
        small = kind == "paragraph" and line.size < 0.92 * self.body
        return small and bool(cut) and cut[-1].size > 0.95 * self.body and not _SENTENCE_END.search(cut[-1].text)

    def _settle(self) -> None:
        self.blocks += self.floating
        self.floating = []

    def _kind(self, line: Line) -> tuple[BlockKind, str]:
        if line.rows:
            return "table", ""
        if line.size < 0.93 * self.body and (note := NOTE_MARK.match(line.text)):
            return "footnote", note.group(1) or note.group(2)
        if _is_heading(line, self.body, in_references=self.in_references):
            return "heading", ""
        if _CAPTION.match(line.text) and _is_caption(line):
            return "caption", ""
        if self.in_references and _REFERENCE_MARK.match(line.text):
            return "reference", ""
        if BULLET.match(line.text):
            return "item", ""
        if _is_formula(line):
            return "formula", ""
        return "paragraph", ""

    def _belongs(self, block: Block, line: Line, kind: BlockKind) -> bool:
        last = block.lines[-1]
        if (
            kind == "table"
            or block.kind == "table"
            or (line.page != last.page and kind != block.kind and kind != "paragraph")
        ):
            return False
        below = 0 <= line.baseline - last.baseline < 1.75 * max(line.size, last.size) and line.page == last.page
        beside = line.page == last.page and min(line.bottom, last.bottom) - max(line.top, last.top) > 0.2 * line.size
        alike = abs(line.size - last.size) < 0.08 * self.body
        if block.kind == "heading" or kind == "heading":
            return (
                block.kind == kind
                and alike
                and line.bold == last.bold
                and (beside or (below and _same_heading(block, line)))
            )
        if block.kind == "formula":
            return kind == "formula" and (beside or below)
        if kind == "formula":
            return beside
        if kind != "paragraph":
            return False
        if block.kind == "footnote" or block.kind == "caption":
            return (below or beside) and alike and line.x0 < last.right
        if beside:
            return True
        if block.kind in ("item", "reference"):
            hanging = block.kind == "reference" or line.x0 > block.lines[0].x0 + 0.5 * line.size or len(block.lines) > 1
            return alike and ((below and hanging) or (not below and _goes_on(block, line, self.body)))
        if (
            self.in_references
            and line.x0 < last.x0 + 0.3 * line.size
            and len(block.lines) > 1
            and line.x0 < block.lines[1].x0 - 3
        ):
            return False
        if not below:
            return alike and _goes_on(block, line, self.body)
        if len(block.lines) == 1 and line.x0 < last.x0 - 5 * line.size:
            return False  # a centred line above a paragraph
        numbered = bool(_ITEM_NUMBER.match(block.lines[0].text))
        if _ITEM_NUMBER.match(line.text) and (numbered or line.x0 > line.left + 0.5 * line.size):
            return False
        close = line.baseline - last.baseline < _leading(block) * 1.3
        return (
            alike
            and close
            and not _is_indented(block, line, hanging=self.in_references or numbered)
            and not _ends_short(last)
        )


def _leading(block: Block) -> float:
    steps = [b.baseline - a.baseline for a, b in zip(block.lines[-9:], block.lines[-8:], strict=False)]
    usual = [step for step in steps if step > 0.5 * block.lines[0].size]
    return min(usual, default=1.3 * block.lines[0].size)


def _is_indented(block: Block, line: Line, *, hanging: bool) -> bool:
    """Whether a new paragraph begins: its first line is further right than the lines before."""
    last = block.lines[-1]
    step = line.x0 - last.x0
    return (
        not hanging
        and 0.6 * line.size < step
        and (len(block.lines) > 1 or (step < 5 * line.size and last.x0 < last.left + 2))
    )


def _ends_short(line: Line) -> bool:
    return line.x1 < line.right - 0.15 * (line.right - line.left) and bool(_SENTENCE_END.search(line.text))


def _goes_on(block: Block, line: Line, body: float) -> bool:
    """Whether a paragraph that was cut by a column, a page or a float is continued by this line."""
    last = block.lines[-1]
    if abs(line.size - last.size) > 0.08 * body:
        return False
    if last.text.endswith(HYPHEN) or line.text[:1].islower():
        return True
    return not _SENTENCE_END.search(last.text) and line.x0 < line.left + 0.6 * line.size


def _same_heading(block: Block, line: Line) -> bool:
    """A second line of a heading has no number of its own."""
    return len(block.lines) < 4 and not NUMBERED.match(line.text) and not KNOWN.fullmatch(line.text)


def _is_heading(line: Line, body: float, *, in_references: bool) -> bool:
    text = line.text.strip()
    letters = sum(character.isalpha() for character in text)
    if len(text) > MAX_HEADING_CHARS or letters < 3 or letters < 0.4 * len(text) or _CAPTION.match(text):
        return False
    if KNOWN.fullmatch(text.rstrip(".:")) and (line.bold or text.isupper() or line.size >= body):
        return True
    if in_references and not line.bold:
        return False
    if line.size > 1.12 * body:
        return True
    if line.size < 0.88 * body or (text.endswith((".", ",", ";")) and not NUMBERED.fullmatch(text)):
        return False
    number = NUMBERED.match(text)
    named = text[number.end() :] if number else text
    wide = line.x1 - line.x0 > 0.9 * (line.right - line.left)
    if line.bold:
        return bool(number) or (not wide and named[:1].isupper())
    if number and named[:1].isupper() and not wide:
        return named.isupper() or line.italic
    return named.isupper() and len(named.split()) > 1 and not wide and len(named) > 10


def _is_caption(line: Line) -> bool:
    """``Figure 3 shows`` in the middle of a paragraph is no caption."""
    rest = line.text[_CAPTION.match(line.text).end() :]  # type: ignore[union-attr]
    return line.bold or rest[:1] in (".", ":", "|", "—", "–", "") or rest.startswith((" .", " :", " |", " —"))


def _is_formula(line: Line) -> bool:
    words = _PROSE_WORD.findall(line.text)
    centred = line.x0 > line.left + 1.5 * line.size
    signs = sum(not (character.isalnum() or character in " .,;:()'\"-%/") for character in line.text)
    signs += sum(ord(character) > 0x1D3FF for character in line.text)
    if len(words) > 2 or not line.text.strip():
        return False
    numbered = bool(_NUMBER_AT_END.search(line.text)) and centred
    return (
        line.math_share > 0.3 or (numbered and (signs > 0 or not words)) or (centred and signs > 0.15 * len(line.text))
    )

"""Words between the blocks of a document: paragraphs, list items and the footnotes that wait for the end of either."""

from __future__ import annotations

from dataclasses import dataclass, field

from qa_core.corpus.readers.rendering import MarkdownWriter


@dataclass
class Line:
    """Words that belong together, and the stretch of the file they came from."""

    parts: list[str] = field(default_factory=list)
    start: int = -1
    end: int = -1

    def add(self, words: str, start: int, end: int) -> None:
        self.parts.append(words)
        if words.strip():
            self.reach(start)
            self.reach(end)

    def reach(self, position: int) -> None:
        self.start = position if self.start < 0 else min(self.start, position)
        self.end = max(self.end, position)

    def space(self) -> None:
        self.parts.append(" ")

    def join(self, other: Line) -> None:
        if words := other.text():
            self.add(f" {words} ", other.start, other.end)

    def text(self) -> str:
        return " ".join("".join(self.parts).split())


class Flow:
    """The current paragraph, the list it may be in, and the writer that both go to."""

    def __init__(self) -> None:
        self.writer = MarkdownWriter("character")
        self.line = Line()
        self.quoted = False
        self._lists: list[tuple[bool, int]] = []
        """Ordered or not, and the number of the next item."""
        self._loose = False
        """Items stand outside of any list, so that nothing says where it ends."""
        self._mark: str | None = None
        self._items = Line()
        self._notes: list[Line] = []
        self._note_count = 0

    def open_list(self, ordered: bool, first: str | None) -> None:
        number = int(first) if first and first.isascii() and first.isdigit() and len(first) < 7 else 1
        self._lists.append((ordered, number))
        self._loose = False

    def close_list(self) -> None:
        if self._lists:
            self._lists.pop()
        self._mark = None
        if not self._lists:
            self.settle()

    def open_item(self) -> None:
        if not self._lists:
            self._lists.append((False, 1))
            self._loose = True
        ordered, number = self._lists[-1]
        self._lists[-1] = (ordered, number + 1)
        indent = "   " * min(len(self._lists) - 1, 8)
        self._mark = f"{indent}{number}. " if ordered else f"{indent}- "

    def flush(self) -> None:
        """Ends the paragraph; an item of a list joins the items before it."""
        line, self.line = self.line, Line()
        words = line.text()
        if not words:
            return
        if self._mark is None and (self._loose or not self._items.parts):
            self._write_items()
            self._paragraph(words, line)
            return
        before = "\n" if self._items.parts else ""
        self._items.add(f"{before}{self._mark}{words}" if self._mark is not None else f" {words}", line.start, line.end)
        self._mark = None

    def settle(self) -> None:
        """Ends the paragraph and the list before a block of another kind."""
        self.flush()
        self._write_items()
        self._write_notes()

    def _write_items(self) -> None:
        items, self._items = self._items, Line()
        self.writer.block("".join(items.parts), items.start, items.end)

    def next_note(self) -> str:
        self._note_count += 1
        return str(self._note_count)

    def add_note(self, label: str, words: str, start: int, end: int) -> None:
        if words:
            self._notes.append(Line([f"[^{label}]: {words}"], start, end))

    def _paragraph(self, words: str, line: Line) -> None:
        if self.quoted:
            self.writer.block(f"> {words}", line.start, line.end)
        else:
            self.writer.paragraph(words, line.start, line.end)
        self._write_notes()

    def _write_notes(self) -> None:
        notes, self._notes = self._notes, []
        for line in notes:
            self.writer.block(line.text(), line.start, line.end)

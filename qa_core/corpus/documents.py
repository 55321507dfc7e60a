"""What a reader makes of a paper: its text as markdown, what it says of itself, and where in the file each part was."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

SpanUnit = Literal["character", "page", "cell"]

RejectionReason = Literal[
    "empty", "whitespace_only", "not_utf8", "binary", "unreadable", "too_large", "changed_while_read",
    "damaged", "reader_missing",
]  # fmt: skip


class DocumentRejected(Exception):
    """A file that is not a document, with the reason that goes to ``chunks_rejected``."""

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class SourceMap:
    """Where the blocks of a text stood in the file it was made from.

    ``unit`` says what the numbers count: characters of the decoded file (from 0, the end excluded), or pages of a PDF
    or cells of a notebook (from 1, the last one included). Without blocks the text is the decoded file itself.
    """

    unit: SpanUnit = "character"
    text_starts: tuple[int, ...] = ()
    """Where each block begins in the text, ascending."""
    text_ends: tuple[int, ...] = ()
    source_starts: tuple[int, ...] = ()
    source_ends: tuple[int, ...] = ()

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the file that ``text[start:end]`` was made from."""
        if not self.text_starts:
            return start, end
        first = min(bisect_right(self.text_ends, start), len(self.text_ends) - 1)
        stop = max(bisect_left(self.text_starts, end), first + 1)
        return min(self.source_starts[first:stop]), max(self.source_ends[first:stop])


@dataclass(frozen=True)
class Rendered:
    """A file as markdown, with what the file states about itself."""

    text: str
    title: str = ""
    """Empty when the file states none; the first heading or the file's name is then the title."""
    authors: tuple[str, ...] = ()
    year: int | None = None
    source_map: SourceMap = SourceMap()


@dataclass(frozen=True)
class Document:
    """A paper as text."""

    doc_id: str
    """Content hash of source and bytes."""
    source: str
    """Path below the papers folder, with forward slashes."""
    format: str
    title: str
    text: str
    """Markdown, every line break as ``\\n``. Of a markdown file it is what ``Path.read_text("utf-8-sig")`` gives."""
    authors: tuple[str, ...] = ()
    year: int | None = None
    source_map: SourceMap = SourceMap()
    rest: Iterable[str] = ()
    """Further stretches of a very large paper, which follow on ``text`` and are read as they are iterated."""

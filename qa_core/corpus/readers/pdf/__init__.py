"""PDF with a text layer: pages to markdown in reading order.

A PDF says where letters stand, not what they are: headings, paragraphs, tables and notes are inferred from size, weight
and place. Formulas come out as the letters of their parts from left to right, not as LaTeX. PDFium may be used by one
thread of a process at a time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from qa_core.corpus.documents import DocumentRejected, Rendered
from qa_core.corpus.readers.pdf.blocks import Block, blocks_of
from qa_core.corpus.readers.pdf.chrome import without_chrome, without_line_numbers
from qa_core.corpus.readers.pdf.layout import Line, lines_of, reading_order, usual_gutter
from qa_core.corpus.readers.pdf.prose import Prose, heading_levels
from qa_core.corpus.readers.pdf.stated import authors, title, year
from qa_core.corpus.readers.pdf.tables import take_tables
from qa_core.corpus.readers.pdf.text import PdfText
from qa_core.corpus.readers.rendering import MarkdownWriter

_LETTERS = re.compile(r"[^\W\d_]")


def read(data: bytes) -> Rendered:
    """The paper in reading order; spans are page numbers from 1."""
    if not data:
        raise DocumentRejected("empty", "0 bytes")
    opened = PdfText(data)
    try:
        pages, images = _pages(opened)
    finally:
        opened.close()
    plain = list(without_chrome(pages))
    gutter = usual_gutter(plain)
    lines = [line for page in plain for line in reading_order(page, gutter)]
    _require_text(lines, opened.page_count, images)
    blocks = blocks_of(lines)
    heading = title(blocks, opened.metadata)
    writer = MarkdownWriter("page")
    _write(writer, blocks)
    return Rendered(writer.text(), heading, authors(blocks, opened.metadata), year(pages[0]), writer.source_map())


def _pages(opened: PdfText) -> tuple[list[list[Line]], int]:
    """The lines of each page, and how many images there are."""
    pages, images = [], 0
    for page in opened.pages():
        page.runs = without_line_numbers(page.runs)
        tables, rest = take_tables(page)
        pages.append(tables + lines_of(page, rest))
        images += page.images
    return pages, images


def _require_text(lines: Sequence[Line], page_count: int, images: int) -> None:
    characters = Counter(character for line in lines for character in line.text)
    unknown = characters["\ufffd"] + sum(
        characters[private] for private in characters if "\ue002" <= private <= "\uf8ff"
    )
    letters = sum(len(_LETTERS.findall(line.text)) + len(line.rows) for line in lines)
    if not letters and images:
        raise DocumentRejected("damaged", f"no text layer on {page_count} pages: a scan; run OCR first")
    if not letters:
        raise DocumentRejected("damaged", f"no text on {page_count} pages")
    if unknown > 0.3 * characters.total():
        raise DocumentRejected("damaged", "the fonts do not say which letters they show; run OCR first")


def _write(writer: MarkdownWriter, blocks: Sequence[Block]) -> None:
    prose = Prose(blocks)
    levels = heading_levels(blocks)
    items: list[Block] = []
    for block, level in zip(blocks, levels, strict=True):
        first, last = block.pages
        if items and block.kind != "item":
            _write_items(writer, items, prose)
        match block.kind:
            case "title" | "heading":
                writer.heading(level, prose.text(block), first, last)
            case "table":
                writer.table(block.lines[0].rows, first, last)
            case "item":
                items.append(block)
            case "footnote":
                writer.block(f"[^{prose.note_id(block)}]: {prose.note(block)}", first, last)
            case _:
                writer.paragraph(prose.text(block), first, last)
    if items:
        _write_items(writer, items, prose)


def _write_items(writer: MarkdownWriter, items: list[Block], prose: Prose) -> None:
    writer.list([prose.item(item) for item in items], items[0].pages[0], items[-1].pages[1])
    items.clear()

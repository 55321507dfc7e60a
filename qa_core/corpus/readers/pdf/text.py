"""What stands where on the pages of a PDF: runs of characters in one font, and ruled lines."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from qa_core.corpus.documents import DocumentRejected
from qa_core.corpus.readers.pdf.fonts import Fonts, Space, Style

MAX_PAGES = 5000
MAX_PAGE_CHARS = 1_000_000
MAX_PAGE_SHAPES = 5000
"""Beyond it a page is a plot or a map, and its lines are no table."""
HYPHEN = "\u00ad"
"""Stands for a hyphen at a line's end."""

_THIN = 2.0
_MARGIN = 72.0
"""Points outside the page within which text counts; what is further out cannot be seen."""
_UNSTORABLE = re.compile("[\0\ufffe\uffff\ud800-\udfff]")
# PDFium gives most ligatures as letters already, but not where the font's own table names the ligature.
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
_LOAD_ERRORS = {2: "file cannot be opened", 3: "no PDF, or cut off", 4: "encrypted", 5: "encrypted", 6: "no page"}


@dataclass(slots=True)
class Run:
    """Characters of one size on one base line; y grows downwards, lengths are points."""

    words: list[tuple[float, float, str]]
    """Left edge, right edge and characters."""
    x0: float
    x1: float
    baseline: float
    size: float
    bold: bool
    italic: bool
    math: bool

    @property
    def text(self) -> str:
        return " ".join(word for _, _, word in self.words)

    @property
    def length(self) -> int:
        return sum(len(word) for _, _, word in self.words)

    @property
    def top(self) -> float:
        return self.baseline - 0.75 * self.size

    @property
    def bottom(self) -> float:
        return self.baseline + 0.25 * self.size


@dataclass(slots=True)
class Page:
    number: int
    height: float
    runs: list[Run] = field(default_factory=list)
    horizontal: list[tuple[float, float, float]] = field(default_factory=list)
    """Left, right and y of ruled lines."""
    vertical: list[tuple[float, float, float]] = field(default_factory=list)
    """Top, bottom and x of ruled lines."""
    images: int = 0


class PdfText:
    """An open PDF; only one page at a time is in memory."""

    def __init__(self, data: bytes) -> None:
        try:
            import pypdfium2
        except ImportError as error:
            raise DocumentRejected("reader_missing", "PDF needs pypdfium2: pip install 'lectern[readers]'") from error
        try:
            self._document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            raise DocumentRejected("damaged", _LOAD_ERRORS.get(error.err_code or 0, str(error))) from error
        self.page_count = len(self._document)
        if self.page_count > MAX_PAGES:
            self.close()
            raise DocumentRejected("too_large", f"{self.page_count} pages; at most {MAX_PAGES}")
        stated = self._document.get_metadata_dict()
        self.metadata: dict[str, str] = {name: _UNSTORABLE.sub("\ufffd", text) for name, text in stated.items()}

    def close(self) -> None:
        self._document.close()

    def pages(self) -> Iterator[Page]:
        """Page by page; a damaged one costs its own text only."""
        import pypdfium2

        for index in range(self.page_count):
            try:
                page = self._document[index]
            except pypdfium2.PdfiumError:
                continue
            try:
                yield _read_page(page, index + 1)
            except pypdfium2.PdfiumError:
                continue
            finally:
                page.close()


def _read_page(page: Any, number: int) -> Page:
    text_page = page.get_textpage()
    try:
        if text_page.count_chars() > MAX_PAGE_CHARS:
            raise DocumentRejected("too_large", f"more than {MAX_PAGE_CHARS} characters on page {number}")
        space, runs = _upright_runs(page, text_page)
    finally:
        text_page.close()
    found = Page(number, space.height, runs)
    _read_shapes(page, space, found)
    return found


def _upright_runs(page: Any, text_page: Any) -> tuple[Space, list[Run]]:
    """The runs of the direction that most of the page is written in: a wide table may lie on its side.

    What runs across it, such as a stamp along the margin or the label of an axis, is left out.
    """
    best: tuple[int, Space, list[Run]] | None = None
    for quarter in range(4):
        space = Space.of(page, quarter)
        reader = _RunReader(text_page, space)
        runs = reader.read()
        if best is None or reader.kept > best[0]:
            best = (reader.kept, space, runs)
        if reader.kept >= reader.turned:
            break
    assert best is not None
    return best[1], best[2]


class _RunReader:
    """Collects the characters of a page, in the order of the file, into runs."""

    def __init__(self, text_page: Any, space: Space) -> None:
        self.kept = self.turned = 0
        self._text_page = text_page
        self._space = space
        self._runs: list[Run] = []
        self._run: Run | None = None
        self._word: list[str] = []
        self._left = 0.0

    def read(self) -> list[Run]:
        import pypdfium2.raw as pdfium

        fonts, high = Fonts(self._text_page, self._space), 0
        for i in range(self._text_page.count_chars()):
            code = pdfium.FPDFText_GetUnicode(self._text_page, i)
            if 0xD800 <= code < 0xDC00:
                high = code  # letters of formulas come as two halves
                continue
            if 0xDC00 <= code < 0xE000 and high:
                code = 0x10000 + ((high - 0xD800) << 10) + code - 0xDC00
            high = 0
            if code in (10, 13):
                self._end_run()
            elif (code <= 32 and code != 2) or code == 0xA0:
                self._end_word()
            elif style := fonts.of(i):
                self._add(code, style, fonts.edges(i))
            else:
                self.turned += 1
        self._end_run()
        return self._runs

    def _add(self, code: int, style: Style, edges: tuple[float, float]) -> None:
        left, right = edges
        self.kept += 1
        if not self._is_visible(left, style.baseline):
            return
        if self._run is None or not _continues(self._run, style, left):
            self._end_run()
            self._run = Run([], left, right, style.baseline, style.size, style.bold, style.italic, style.math)
        elif self._word and left - self._run.x1 > 0.25 * style.size:
            self._end_word()
        if not self._word:
            self._left = left
        self._word.append(HYPHEN if code in (2, 0xAD, 0xFFFE) else _LIGATURES.get(code) or chr(code))
        self._run.x1 = max(left, min(right, left + 4 * style.size))
        self._run.math = self._run.math and style.math
        self._run.italic = self._run.italic and style.italic

    def _is_visible(self, x: float, y: float) -> bool:
        return -_MARGIN < x < self._space.width + _MARGIN and -_MARGIN < y < self._space.height + _MARGIN

    def _end_word(self) -> None:
        if self._word and self._run:
            self._run.words.append((self._left, self._run.x1, _UNSTORABLE.sub("\ufffd", "".join(self._word))))
        self._word = []

    def _end_run(self) -> None:
        self._end_word()
        if self._run and self._run.words:
            self._runs.append(self._run)
        self._run = None


def _continues(run: Run, style: Style, left: float) -> bool:
    same_line = abs(run.baseline - style.baseline) < 0.1 * style.size and abs(run.size - style.size) < 0.1 * style.size
    return same_line and -style.size < left - run.x1 < 1.1 * style.size and run.bold == style.bold


def _read_shapes(page: Any, space: Space, found: Page) -> None:
    import pypdfium2
    import pypdfium2.raw as pdfium

    wanted = [pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_IMAGE]
    shapes = list(islice(page.get_objects(filter=wanted, max_depth=2), MAX_PAGE_SHAPES + 1))
    found.images = sum(shape.type == pdfium.FPDF_PAGEOBJ_IMAGE for shape in shapes)
    for shape in shapes if len(shapes) <= MAX_PAGE_SHAPES else []:
        if shape.type != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        try:
            left, top, right, bottom = space.box(*shape.get_bounds())
        except pypdfium2.PdfiumError:
            continue
        if bottom - top <= _THIN and right - left > 4 * _THIN:
            found.horizontal.append((left, right, (top + bottom) / 2))
        elif right - left <= _THIN and bottom - top > 2 * _THIN:
            found.vertical.append((top, bottom, (left + right) / 2))
        elif pdfium.FPDFPath_CountSegments(shape) in (4, 5) and _is_stroked(shape):
            found.horizontal += [(left, right, top), (left, right, bottom)]
            found.vertical += [(top, bottom, left), (top, bottom, right)]


def _is_stroked(path: Any) -> bool:
    import pypdfium2.raw as pdfium

    fill, stroke = ctypes.c_int(), ctypes.c_int()
    return bool(pdfium.FPDFPath_GetDrawMode(path, fill, stroke)) and bool(stroke.value)

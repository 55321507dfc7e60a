"""What stands where on the pages of a PDF: runs of characters in one font, and ruled lines."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from qa_core.corpus.documents import DocumentRejected

MAX_PAGES = 5000
MAX_PAGE_CHARS = 200_000
MAX_PAGE_PATHS = 5000
"""Beyond it a page is a plot or a map, and its lines are no table."""
HYPHEN = "\u00ad"
"""Stands for a hyphen at a line's end."""

_THIN = 2.0
_MATH_FONT = re.compile(
    r"CM(?:MI|SY|EX|BSY|MIB)|MS[AB]M|EU[FRS]M|Math|Symbol|STIX|rsfs|LMMath|txsy|pxsy|EXA|MTMI|MTSY", re.I
)
_BOLD_FONT = re.compile(
    r"bold|black|heavy|CMBX|CMSSBX|SFBX|-?Medi\b|-B\b|\.B\b|LinBiolinumTB|LinLibertineTB|BX\d", re.I
)
_ITALIC_FONT = re.compile(r"ital|obli|CMTI|CMSL|SFTI|-It\b|TI\d+$", re.I)
_UNSTORABLE = re.compile("[\0\ufffe\uffff\ud800-\udfff]")
# PDFium gives most ligatures as letters already, but not where the font's own table names the ligature.
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
_LOAD_ERRORS = {
    2: "file cannot be opened",
    3: "no PDF, or its cross references are broken",
    4: "encrypted",
    5: "encrypted",
    6: "no page",
}


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
    width: float
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
            reason = _LOAD_ERRORS.get(getattr(error, "err_code", 0) or 0, str(error))
            raise DocumentRejected("damaged", reason) from error
        self.page_count = len(self._document)
        self.metadata: dict[str, str] = {
            name: _UNSTORABLE.sub("\ufffd", text) for name, text in self._document.get_metadata_dict().items()
        }

    def close(self) -> None:
        self._document.close()

    def pages(self) -> Iterator[Page]:
        import pypdfium2

        for index in range(min(self.page_count, MAX_PAGES)):
            try:
                page = self._document[index]
            except pypdfium2.PdfiumError:
                continue  # a damaged page costs its own text only
            try:
                yield _read_page(page, index + 1)
            finally:
                page.close()


def _read_page(page: Any, number: int) -> Page:
    width, height = page.get_size()
    text_page = page.get_textpage()
    found = Page(number, width, height)
    try:
        found.runs = list(_runs(text_page, height))
        _read_shapes(page, height, found)
    finally:
        text_page.close()
    return found


def _runs(text_page: Any, height: float) -> Iterator[Run]:
    """Upright text only: stamps along the margin and labels along an axis are left out."""
    import pypdfium2.raw as pdfium

    box, fonts = pdfium.FS_RECTF(), _Fonts(text_page)
    run: Run | None = None
    word: list[str] = []
    left = right = 0.0

    def end_word() -> None:
        if word and run:
            run.words.append((left, right, _UNSTORABLE.sub("\ufffd", "".join(word))))
        word.clear()

    high = 0
    for i in range(min(text_page.count_chars(), MAX_PAGE_CHARS)):
        code = pdfium.FPDFText_GetUnicode(text_page, i)
        if 0xD800 <= code < 0xDC00:
            high = code  # letters of formulas come as two halves
            continue
        if 0xDC00 <= code < 0xE000 and high:
            code = 0x10000 + ((high - 0xD800) << 10) + code - 0xDC00
        high = 0
        if code in (10, 13):
            end_word()
            if run and run.words:
                yield run
            run = None
            continue
        if (code <= 32 and code != 2) or code == 0xA0:
            end_word()
            continue
        style = fonts.of(i)
        if style is None or not pdfium.FPDFText_GetLooseCharBox(text_page, i, box):
            continue
        size, bold, italic, math_font, base = style
        baseline = height - base
        character = HYPHEN if code in (2, 0xAD, 0xFFFE) else _LIGATURES.get(code) or chr(code)
        same_line = run is not None and abs(run.baseline - baseline) < 0.1 * size and abs(run.size - size) < 0.1 * size
        if run is None or not same_line or not -size < box.left - run.x1 < 1.1 * size or run.bold != bold:
            end_word()
            if run and run.words:
                yield run
            run = Run([], box.left, box.right, baseline, size, bold, italic, math_font)
        elif word and box.left - right > 0.25 * size:
            end_word()
        if not word:
            left = box.left
        word.append(character)
        right = run.x1 = max(box.right, box.left)
        run.math = run.math and math_font
        run.italic = run.italic and italic
    end_word()
    if run and run.words:
        yield run


class _Fonts:
    """Style of a character, looked up once for each piece of text that the page shows."""

    def __init__(self, text_page: Any) -> None:
        self._text_page = text_page
        self._last: tuple[int | None, tuple[float, bool, bool, bool, float] | None] = (None, None)

    def of(self, index: int) -> tuple[float, bool, bool, bool, float] | None:
        """Size, bold, italic, whether the font is one for formulas, and the base line; None for text that is turned."""
        import pypdfium2.raw as pdfium

        shown = pdfium.FPDFText_GetTextObject(self._text_page, index)
        key = ctypes.cast(shown, ctypes.c_void_p).value if shown else None
        if key is not None and key == self._last[0]:
            return self._last[1]
        style = self._style(index)
        self._last = (key, style)
        return style

    def _style(self, index: int) -> tuple[float, bool, bool, bool, float] | None:
        import pypdfium2.raw as pdfium

        matrix, x, y = pdfium.FS_MATRIX(), ctypes.c_double(), ctypes.c_double()
        if not pdfium.FPDFText_GetMatrix(self._text_page, index, matrix):
            return None
        if not pdfium.FPDFText_GetCharOrigin(self._text_page, index, x, y):
            return None
        if abs(matrix.b) > 0.1 * abs(matrix.a) or matrix.d <= 0:
            return None
        size = pdfium.FPDFText_GetFontSize(self._text_page, index) * math.hypot(matrix.c, matrix.d)
        name, flags = ctypes.create_string_buffer(256), ctypes.c_int()
        pdfium.FPDFText_GetFontInfo(self._text_page, index, name, 256, flags)
        font = name.value.decode("utf-8", "replace").split("+", 1)[-1]
        bold = bool(_BOLD_FONT.search(font)) or bool(flags.value & 0x40000)
        italic = bool(_ITALIC_FONT.search(font)) or bool(flags.value & 0x40)
        if not 0 < size < 1000 or not math.isfinite(y.value):
            return None
        return size, bold, italic, bool(_MATH_FONT.search(font)), y.value


def _read_shapes(page: Any, height: float, found: Page) -> None:
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        shapes = list(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2))
    except pypdfium2.PdfiumError:
        return
    paths = [shape for shape in shapes if shape.type == pdfium.FPDF_PAGEOBJ_PATH]
    found.images = len(shapes) - len(paths)
    for path in paths if len(paths) <= MAX_PAGE_PATHS else []:
        try:
            left, bottom, right, top = path.get_bounds()
        except pypdfium2.PdfiumError:
            continue
        if top - bottom <= _THIN and right - left > 4 * _THIN:
            found.horizontal.append((left, right, height - (top + bottom) / 2))
        elif right - left <= _THIN and top - bottom > 2 * _THIN:
            found.vertical.append((height - top, height - bottom, (left + right) / 2))
        elif pdfium.FPDFPath_CountSegments(path) in (4, 5) and _is_stroked(path):
            found.horizontal += [(left, right, height - top), (left, right, height - bottom)]
            found.vertical += [(height - top, height - bottom, left), (height - top, height - bottom, right)]


def _is_stroked(path: Any) -> bool:
    import pypdfium2.raw as pdfium

    fill, stroke = ctypes.c_int(), ctypes.c_int()
    return bool(pdfium.FPDFPath_GetDrawMode(path, fill, stroke)) and bool(stroke.value)

"""How the characters of a PDF page look and where they are, seen with the page upright."""

from __future__ import annotations

import ctypes
import math
import re
from dataclasses import dataclass
from typing import Any

_MATH_FONT = re.compile(
    r"CM(?:MI|SY|EX|BSY|MIB)|MS[AB]M|EU[FRS]M|Math|Symbol|STIX|rsfs|LMMath|txsy|pxsy|EXA|MTMI|MTSY", re.IGNORECASE
)
_BOLD_FONT = re.compile(
    r"bold|black|heavy|CMBX|CMSSBX|SFBX|-?Medi\b|-B\b|\.B\b|LinBiolinumTB|LinLibertineTB|BX\d", re.IGNORECASE
)
_ITALIC_FONT = re.compile(r"ital|obli|CMTI|CMSL|SFTI|-It\b|TI\d+$", re.IGNORECASE)
_FORCE_BOLD, _ITALIC = 0x40000, 0x40
MAX_SIZE = 1000.0
"""Points; larger letters are drawings."""


@dataclass(frozen=True)
class Space:
    """The visible page, turned by quarters so that its text is upright; y grows downwards."""

    quarter: int
    """Quarter turns clockwise from the coordinates of the file."""
    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def of(cls, page: Any, quarter: int) -> Space:
        """The page as it is shown, turned by further quarters."""
        return cls((page.get_rotation() // 90 + quarter) % 4, *page.get_bbox())

    @property
    def width(self) -> float:
        return self.right - self.left if self.quarter % 2 == 0 else self.top - self.bottom

    @property
    def height(self) -> float:
        return self.top - self.bottom if self.quarter % 2 == 0 else self.right - self.left

    def point(self, x: float, y: float) -> tuple[float, float]:
        match self.quarter:
            case 0:
                return x - self.left, self.top - y
            case 1:
                return y - self.bottom, x - self.left
            case 2:
                return self.right - x, y - self.bottom
            case _:
                return self.top - y, self.right - x

    def box(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """Left, top, right and bottom as seen."""
        (x0, y0), (x1, y1) = self.point(left, bottom), self.point(right, top)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

    def is_upright(self, a: float, b: float) -> bool:
        """Whether text that runs in direction ``(a, b)`` of the file runs to the right."""
        along, across = [(a, b), (b, -a), (-a, -b), (-b, a)][self.quarter]
        return along > 0 and abs(across) < 0.1 * along


@dataclass(frozen=True)
class Style:
    size: float
    bold: bool
    italic: bool
    math: bool
    """Whether the font is one for formulas."""
    baseline: float


class Fonts:
    """Style of a character, looked up once for each piece of text that the page shows."""

    def __init__(self, text_page: Any, space: Space) -> None:
        import pypdfium2.raw as pdfium

        self._text_page = text_page
        self._space = space
        self._box = pdfium.FS_RECTF()
        self._shown: int | None = None
        self._style: Style | None = None

    def of(self, index: int) -> Style | None:
        """None for text that does not run to the right."""
        import pypdfium2.raw as pdfium

        text_object = pdfium.FPDFText_GetTextObject(self._text_page, index)
        shown = ctypes.cast(text_object, ctypes.c_void_p).value if text_object else None
        if shown is None or shown != self._shown:
            self._shown, self._style = shown, self._look_up(index)
        return self._style

    def edges(self, index: int) -> tuple[float, float]:
        """Left and right edge of a character."""
        import pypdfium2.raw as pdfium

        pdfium.FPDFText_GetLooseCharBox(self._text_page, index, self._box)
        box = self._space.box(self._box.left, self._box.bottom, self._box.right, self._box.top)
        return box[0], box[2]

    def _look_up(self, index: int) -> Style | None:
        import pypdfium2.raw as pdfium

        matrix, x, y = pdfium.FS_MATRIX(), ctypes.c_double(), ctypes.c_double()
        known = pdfium.FPDFText_GetMatrix(self._text_page, index, matrix)
        known = known and pdfium.FPDFText_GetCharOrigin(self._text_page, index, x, y)
        if not known or not self._space.is_upright(matrix.a, matrix.b):
            return None
        size = pdfium.FPDFText_GetFontSize(self._text_page, index) * math.hypot(matrix.c, matrix.d)
        if not 0 < size < MAX_SIZE or not math.isfinite(x.value + y.value):
            return None
        name, flags = ctypes.create_string_buffer(256), ctypes.c_int()
        pdfium.FPDFText_GetFontInfo(self._text_page, index, name, 256, flags)
        font = name.value.decode("utf-8", "replace").split("+", 1)[-1]
        return Style(
            size,
            bool(_BOLD_FONT.search(font)) or bool(flags.value & _FORCE_BOLD),
            bool(_ITALIC_FONT.search(font)) or bool(flags.value & _ITALIC),
            bool(_MATH_FONT.search(font)),
            self._space.point(x.value, y.value)[1],
        )

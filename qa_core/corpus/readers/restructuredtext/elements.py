"""What is read off one element of a reStructuredText tree."""

from __future__ import annotations

import csv
from typing import Any

from qa_core.corpus.readers.restructuredtext.inline import Inline

_ROMAN = {
    1000: "m", 900: "cm", 500: "d", 400: "cd", 100: "c", 90: "xc", 50: "l", 40: "xl", 10: "x", 9: "ix", 5: "v", 4: "iv",
    1: "i",
}  # fmt: skip


def first_line(element: Any) -> int | None:
    if element.tagname in ("section", "title"):
        return None
    if element.tagname == "#text" or element.line is not None:
        return getattr(element, "line", None)
    return next((part.line for part in element.findall() if getattr(part, "line", None) is not None), None)


def title_line(element: Any) -> int:
    """Docutils gives the line of the underline."""
    return max(element.line - 1, 1)


def enumerator(number: int, kind: str) -> str:
    """``c`` or ``iii`` for 3; a citation that begins with an initial is such a list, so the letter must stay."""
    if kind.endswith("alpha"):
        mark = chr(ord("a") + number - 1)
    else:
        mark = ""
        for value, letters in _ROMAN.items():
            mark += letters * (number // value)
            number %= value
    return mark.upper() if kind.startswith("upper") else mark


def nested_items(row: Any) -> list[Any]:
    return [cell for inner in row.children if inner.tagname == "bullet_list" for cell in inner.children]


def csv_rows(text: str, inline: Inline) -> list[list[str]]:
    try:
        rows = list(csv.reader(text.split("\n"), skipinitialspace=True))
    except csv.Error:  # a cell beyond the csv module's limit
        rows = [[line] for line in text.split("\n")]
    return [[inline.markdown(cell) for cell in row] for row in rows if any(cell.strip() for cell in row)]

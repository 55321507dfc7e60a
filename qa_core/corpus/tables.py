"""The rows of a table, whichever way it is written, and the header that its later parts repeat."""

from __future__ import annotations

import re
from functools import partial

from qa_core.corpus.markdown_marks import is_delimiter_row
from qa_core.corpus.sentences import Span

_HTML_TABLE = re.compile(r"\s*<table\b", re.IGNORECASE)
_HTML_ROW_END = re.compile(r"</tr\s*>\s*", re.IGNORECASE)
_HTML_HEADER_CELL = re.compile(r"<th\b", re.IGNORECASE)
_GRID_BORDER = re.compile(r"[ \t]*\+[-=:+]+\+[ \t]*")
_GRID_HEADER_BORDER = re.compile(r"[ \t]*\+:?=[=:+]*\+[ \t]*")
_HEADER_LINES = 12
"""Lines in which a header's border is looked for."""


def table_rows(table: str, header: str = "") -> tuple[str, list[Span]]:
    """The header rows (``header`` when the table only goes on), and the spans of header and rows in order."""
    if _HTML_TABLE.match(table):
        return _html_rows(table)
    lines = line_spans(table)
    is_grid = bool(lines) and _GRID_BORDER.fullmatch(table[lines[0][0] : lines[0][1]]) is not None
    rows_of = partial(_grid_rows, table) if is_grid else list
    if header:
        return header, rows_of(lines)
    for number, (start, end) in enumerate(lines[:_HEADER_LINES]):
        line = table[start:end]
        is_border = _GRID_HEADER_BORDER.fullmatch(line) if is_grid else number == 1 and is_delimiter_row(line)
        if number and is_border:
            return table[:end], [(lines[0][0], end), *rows_of(lines[number + 1 :])]
    return "", rows_of(lines)


def line_spans(text: str) -> list[Span]:
    """Start and end of every line that is not blank."""
    spans, start = [], 0
    for line in text.split("\n"):
        if line.strip():
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _grid_rows(table: str, lines: list[Span]) -> list[Span]:
    """Rows of a grid table with the border below each; a row may take several lines."""
    spans: list[Span] = []
    row_start: int | None = None
    for start, end in lines:
        row_start = start if row_start is None else row_start
        if _GRID_BORDER.fullmatch(table[start:end]) and start > row_start:
            spans.append((row_start, end))
            row_start = None
    if row_start is not None:
        spans.append((row_start, lines[-1][1]))
    return spans


def _html_rows(table: str) -> tuple[str, list[Span]]:
    """An HTML table cut after each ``</tr>``; its first row is the header when it has a ``<th>``."""
    borders = [match.end() for match in _HTML_ROW_END.finditer(table)]
    if not borders:
        return "", line_spans(table)
    starts = [0, *borders[:-1]]
    rest = table[borders[-1] :].strip()
    ends = [*borders[:-1], len(table) if rest else borders[-1]]
    spans = [(start, start + len(table[start:end].rstrip())) for start, end in zip(starts, ends, strict=True)]
    first = table[: spans[0][1]]
    return (first if _HTML_HEADER_CELL.search(first) else ""), spans

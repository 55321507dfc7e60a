"""Table cells with row and column spans to a rectangular grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qa_core.corpus.readers.rendering import MarkdownWriter

_MAX_SPAN = 1000
"""What HTML itself allows for a column span."""
_MAX_FILL = 50
"""A grid with more places for each cell than this is no table, and filling it up would cost more than reading it."""


@dataclass(frozen=True)
class Cell:
    text: str
    columns: int = 1
    rows: int = 1


def write_table(writer: MarkdownWriter, rows: Sequence[Sequence[Cell]], start: int, end: int) -> None:
    """A pipe table in which a spanning cell is repeated, so that every row can be read by itself."""
    cells = sum(map(len, rows))
    places = sum(cell.columns * min(cell.rows, len(rows)) for row in rows for cell in row)
    grid = flatten(rows) if places <= _MAX_FILL * (cells + 1) else [[cell.text for cell in row] for row in rows]
    width = max(map(len, grid), default=0)
    if width * len(grid) > _MAX_FILL * (cells + 1):
        words = " ".join(" ".join(row) for row in grid)
        writer.paragraph(words, start, end)
    elif width == 1 and len(grid) == 1:
        writer.paragraph(grid[0][0], start, end)
    else:
        writer.table(grid, start, end)


def flatten(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The texts in a grid; a cell over the whole width of the table, a title within it, stands there once."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[str, int]] = {}
    """Column -> text and how many further rows it reaches down."""
    for row in rows:
        line: list[str] = []
        below: dict[int, tuple[str, int]] = {}
        for cell in row:
            _take_hanging(line, hanging, below)
            columns = min(max(cell.columns, 1), _MAX_SPAN)
            if cell.rows > 1:
                below.update((len(line) + i, (cell.text, cell.rows - 1)) for i in range(columns))
            line += [cell.text] * columns if len(row) > 1 else [cell.text, *[""] * (columns - 1)]
        _take_hanging(line, hanging, below)
        while beyond := [column for column in hanging if column > len(line)]:
            line += [""] * (min(beyond) - len(line))
            _take_hanging(line, hanging, below)
        hanging = below
        grid.append(line)
    return [line for line in grid if any(text.strip() for text in line)]


def _take_hanging(line: list[str], hanging: dict[int, tuple[str, int]], below: dict[int, tuple[str, int]]) -> None:
    """Places that a cell from a row above reaches down to are filled with it first."""
    while (column := len(line)) in hanging:
        text, left = hanging[column]
        line.append(text)
        if left > 1:
            below[column] = (text, left - 1)

"""The rows of a ``tabular``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qa_core.corpus.readers.grid import Cell

if TYPE_CHECKING:
    from qa_core.corpus.readers.latex.walk import Walk

_RULES = {
    r"\hline", r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule", r"\cline", r"\endhead", r"\endfirsthead",
    r"\endfoot", r"\endlastfoot", r"\addlinespace", r"\morecmidrules", r"\specialrule", r"\hhline", r"\thickhline",
}  # fmt: skip
_ROW_ENDS = {r"\tabularnewline", r"\cr"}
_TRIM = re.compile(r"\([lr]+\)")


def table_rows(blocks: Walk, first: int, stop: int) -> list[list[Cell]]:
    """Cells with their spans; a caption among the rows goes before the table."""
    rows: list[list[Cell]] = [[]]
    start = i = first
    while i <= stop:
        token = blocks.tokens.all[i]
        ends_row = i == stop or token.kind == "break" or token.text in _ROW_ENDS
        if ends_row or token.text == "&":
            if not ends_row or rows[-1] or start < i:
                rows[-1].append(_cell(blocks, start, i))
            if ends_row:
                rows.append([])
            start = i = i + 1
        elif token.text in _RULES:
            i = _after_rule(blocks, i)
            start = i if not rows[-1] else start
        elif token.text == r"\caption" and not rows[-1]:
            start = i = blocks.step(i)
        else:
            i = max(blocks.tokens.close[i], i) + 1
    return _without_placeholders([row for row in rows if row])


def _after_rule(blocks: Walk, i: int) -> int:
    """``\\cmidrule[1pt](lr){2-3}`` and its like."""
    i += 1
    tokens = blocks.tokens
    if optional := tokens.group(i, "["):
        i = optional[1] + 1
    if i < len(tokens.all) and _TRIM.fullmatch(tokens.all[i].text.strip()):
        i += 1
    while argument := tokens.group(i):
        i = argument[1] + 1
    return i


def _cell(blocks: Walk, first: int, stop: int) -> Cell:
    tokens = blocks.tokens
    columns = rows = 1
    i = tokens.skip_space(first)
    while i < stop and (name := tokens.all[i].text) in (r"\multicolumn", r"\multirow"):
        arguments: list[tuple[int, int]] = []
        j = i + 1
        while len(arguments) < 3 and (group := tokens.group(j) or tokens.group(j, "[")):
            if tokens.all[group[0] - 1].text == "{":
                arguments.append(group)
            j = group[1] + 1
            if len(arguments) == 1 and name == r"\multirow" and tokens.all[min(j, stop)].text.strip() == "*":
                arguments.append((j, j))
                j += 1
        if len(arguments) < 3:
            break
        number = tokens.slice(*arguments[0]).strip()
        size = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 1
        columns, rows = (size, rows) if name == r"\multicolumn" else (columns, size)
        i = tokens.skip_space(arguments[2][0])
        if i >= stop or tokens.all[i].text not in (r"\multicolumn", r"\multirow"):
            return Cell(blocks.words(*arguments[2]), columns, rows)
    return Cell(blocks.words(first, stop), columns, rows)


def _without_placeholders(rows: list[list[Cell]]) -> list[list[Cell]]:
    """LaTeX leaves an empty cell below one that spans rows; in a grid that place is taken."""
    result = []
    reach: dict[int, int] = {}
    for row in rows:
        kept: list[Cell] = []
        column = 0
        below = {place: left - 1 for place, left in reach.items() if left > 1}
        for cell in row:
            if not (reach.get(column) and not cell.text):
                kept.append(cell)
            if cell.rows > 1:
                below.update(dict.fromkeys(range(column, column + cell.columns), cell.rows - 1))
            column += cell.columns
        reach = below
        result.append(kept)
    return result

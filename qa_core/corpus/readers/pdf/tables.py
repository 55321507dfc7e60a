"""Tables between ruled lines; without rules a table stays lines of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from qa_core.corpus.readers.pdf.layout import Line
from qa_core.corpus.readers.pdf.text import HYPHEN, Page, Run

MAX_CELL_CHARS = 60
"""On average; longer ones are running text between two rules."""
_NEAR = 4.0
_CAPTION = re.compile(r"(?:fig(?:ure|\.)|table)\s*\d+[.:]?\s", re.IGNORECASE)
_MAX_TRIED_RULES = 8

Word = tuple[float, float, float, str]
"""Left edge, right edge, base line and characters."""


def take_tables(page: Page) -> tuple[list[Line], list[Run]]:
    """The tables of a page, and the runs that are in none of them."""
    tables: list[Line] = []
    rest = page.runs
    for left, right, rules in _frames(page):
        for ys in _stretches(rules):
            table, outside = _table(page, rest, left, right, ys)
            if table:
                tables.append(table)
                rest = outside
                break
    return tables, rest


def _stretches(rules: Sequence[float]) -> Iterator[Sequence[float]]:
    """All rules, and when they are no table then fewer: one above may be the frame of a figure."""
    count = len(rules)
    yield rules
    if count <= _MAX_TRIED_RULES:
        for size in range(count - 1, 2, -1):
            for start in range(count - size + 1):
                yield rules[start : start + size]


def _table(
    page: Page, runs: list[Run], left: float, right: float, ys: Sequence[float]
) -> tuple[Line | None, list[Run]]:
    """The table between the first and the last rule, if it is one, and the runs outside."""
    inside: list[Run] = []
    outside: list[Run] = []
    for run in runs:
        in_width = left - _NEAR <= run.x0 and run.x1 <= right + _NEAR
        held = in_width and ys[0] < run.baseline - 0.2 * run.size and run.baseline < ys[-1] + 1
        (inside if held else outside).append(run)
    columns = [x for y0, y1, x in page.vertical if left - _NEAR < x < right + _NEAR and y0 < ys[-1] and y1 > ys[0]]
    rows = _rows(inside, ys, sorted(columns))
    if not rows:
        return None, runs
    size = max(run.size for run in inside)
    return Line(page.number, "", left, right, ys[0], ys[-1], ys[-1], size, rows=rows), outside


def _frames(page: Page) -> list[tuple[float, float, list[float]]]:
    """Left, right and the ys of rules that are as wide as each other and stand in one block."""
    frames: list[tuple[float, float, list[float]]] = []
    for left, right, y in sorted(_joined(page.horizontal), key=lambda rule: rule[2]):
        for frame in frames:
            if abs(frame[0] - left) < _NEAR and abs(frame[1] - right) < _NEAR and y - frame[2][-1] < 0.5 * page.height:
                if y - frame[2][-1] > 1.5:
                    frame[2].append(y)
                break
        else:
            frames.append((left, right, [y]))
    has_columns = [
        sum(
            frame[0] + _NEAR < x < frame[1] - _NEAR and y0 < frame[2][-1] and y1 > frame[2][0]
            for y0, y1, x in page.vertical
        )
        for frame in frames
    ]
    return [frame for frame, inner in zip(frames, has_columns, strict=True) if len(frame[2]) >= (2 if inner else 3)]


def _joined(rules: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Rules drawn cell by cell, put together."""
    joined: list[tuple[float, float, float]] = []
    for left, right, y in sorted(rules, key=lambda rule: (round(rule[2]), rule[0])):
        if joined and abs(joined[-1][2] - y) < 1.5 and left - joined[-1][1] < 2.5:
            joined[-1] = (joined[-1][0], max(joined[-1][1], right), y)
        else:
            joined.append((left, right, y))
    return joined


def _rows(runs: Sequence[Run], ys: Sequence[float], xs: Sequence[float]) -> tuple[tuple[str, ...], ...]:
    if not runs or any(_CAPTION.match(run.text) for run in runs):
        return ()
    size = max(run.size for run in runs)
    baselines = sorted({run.baseline for run in runs if run.size > 0.85 * size})
    words = [(x0, x1, _row_line(run, baselines, size), text) for run in runs for x0, x1, text in run.words]
    distinct = [x for x, before in zip(xs, [-1e9, *xs], strict=False) if x - before > _NEAR]
    ruled = [x for x in distinct if min(word[0] for word in words) < x < max(word[1] for word in words)]
    lines = _by_baseline(words, size)
    cuts = ruled or _gaps(words, (0.45 if len(lines) > 3 else 1.0) * size)
    bands = [[word for word in words if low < word[2] <= high + 1] for low, high in pairwise(ys)]
    if len([band for band in bands if band]) < 0.5 * len(lines):
        rows = [_cells(line, cuts) for line in lines]
    else:
        rows = [row for band in bands for row in _band_rows(band, cuts, size)]
    return tuple(rows) if _is_table(rows) else ()


def _is_table(rows: Sequence[Sequence[str]]) -> bool:
    """Running text between two rules, or a formula with a fraction bar, falls apart into long or empty cells."""
    filled = [[cell for cell in row if cell] for row in rows]
    cells = [cell for row in filled for cell in row]
    if len(rows) < 2 or len(cells) < 4 or sum(map(len, cells)) > MAX_CELL_CHARS * len(cells):
        return False
    return sum(len(row) > 1 for row in filled) >= 0.6 * len(rows) and len(cells) >= 0.5 * sum(map(len, rows))


def _band_rows(band: Sequence[Word], cuts: Sequence[float], size: float) -> list[tuple[str, ...]]:
    """One row between two rules, unless its lines are filled like rows themselves."""
    lines = [_cells(line, cuts) for line in _by_baseline(band, size)]
    return lines if all(all(line) for line in lines) else [_cells(band, cuts)]


def _row_line(run: Run, baselines: Sequence[float], size: float) -> float:
    """The base line of the row that a run stands in; exponents and indices are off it."""
    nearest = min(baselines, key=lambda baseline: abs(baseline - run.baseline))
    return nearest if abs(nearest - run.baseline) < 0.5 * size else run.baseline


def _by_baseline(words: Sequence[Word], size: float) -> list[list[Word]]:
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda word: word[2]):
        if lines and word[2] - lines[-1][0][2] < 0.5 * size:
            lines[-1].append(word)
        else:
            lines.append([word])
    return lines


def _gaps(words: Sequence[Word], width: float) -> list[float]:
    """Middles of the white stripes that run down through all words."""
    cuts: list[float] = []
    reach = float("inf")
    for x0, x1, _, _ in sorted(words):
        if x0 - reach > width:
            cuts.append((x0 + reach) / 2)
        reach = x1 if reach == float("inf") else max(reach, x1)
    return cuts


def _cells(band: Sequence[Word], cuts: Sequence[float]) -> tuple[str, ...]:
    cells: list[list[Word]] = [[] for _ in range(len(cuts) + 1)]
    for word in band:
        middle = (word[0] + word[1]) / 2
        cells[sum(cut < middle for cut in cuts)].append(word)
    texts = (" ".join(text for *_, text in sorted(cell, key=lambda word: (round(word[2]), word[0]))) for cell in cells)
    return tuple(text.replace(f"{HYPHEN} ", "").replace(HYPHEN, "-") for text in texts)

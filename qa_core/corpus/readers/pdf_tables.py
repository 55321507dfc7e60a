"""Tables between ruled lines; without rules a table stays lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from qa_core.corpus.readers.pdf_layout import Line
from qa_core.corpus.readers.pdf_text import HYPHEN, Page, Run

MAX_CELL_CHARS = 60
"""On average; longer ones are running text between two rules."""
_NEAR = 4.0

Word = tuple[float, float, float, str]
"""Left edge, right edge, base line and characters."""


def take_tables(page: Page) -> tuple[list[Line], list[Run]]:
    """The tables of a page, and the runs that are in none of them."""
    tables: list[Line] = []
    rest = page.runs
    for left, right, ys in _frames(page):
        top, bottom = ys[0], ys[-1]
        inside, outside = [], []
        for run in rest:
            held = (
                left - _NEAR <= run.x0
                and run.x1 <= right + _NEAR
                and top < run.baseline - 0.2 * run.size
                and run.baseline < bottom + 1
            )
            (inside if held else outside).append(run)
        columns = [x for y0, y1, x in page.vertical if left - _NEAR < x < right + _NEAR and y0 < bottom and y1 > top]
        rows = _rows(inside, ys, sorted(columns))
        if rows:
            size = max(run.size for run in inside)
            tables.append(Line(page.number, "", left, right, top, bottom, bottom, size, rows=rows))
            rest = outside
    return tables, rest


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
    words = [(x0, x1, run.baseline, text) for run in runs for x0, x1, text in run.words]
    if not words:
        return ()
    size = max(run.size for run in runs)
    distinct = [x for x, before in zip(xs, [-1e9, *xs], strict=False) if x - before > _NEAR]
    inner = [x for x in distinct if min(word[0] for word in words) < x < max(word[1] for word in words)]
    bands = _bands(words, ys, size)
    cuts = inner or _gaps(words, 0.45 * size)
    rows = [_cells(band, cuts) for band in bands]
    cells = [cell for row in rows for cell in row if cell]
    if not cuts or len(rows) < 2 or sum(map(len, cells)) > MAX_CELL_CHARS * len(cells):
        return ()
    return tuple(rows)


def _bands(words: Sequence[Word], ys: Sequence[float], size: float) -> list[list[Word]]:
    """Words of each row: between two rules where every row is ruled, else one base line a row."""
    bands = [[word for word in words if low < word[2] <= high + 1] for low, high in pairwise(ys)]
    if len(ys) > 4 or all(len({round(word[2]) for word in band}) <= 1 for band in bands):
        return [band for band in bands if band]
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda word: word[2]):
        if rows and word[2] - rows[-1][0][2] < 0.5 * size:
            rows[-1].append(word)
        else:
            rows.append([word])
    return rows


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

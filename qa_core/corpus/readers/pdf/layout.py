"""Runs of characters to lines in reading order, column by column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

from qa_core.corpus.readers.pdf.text import Page, Run

RAISED, RAISED_END = "\ue000", "\ue001"
"""Around what stands above the line: an exponent, or the mark of a footnote."""

_SECTION_NUMBER = re.compile(r"(?:\d{1,2}\.){0,4}\d{1,2}\.?|[IVX]{1,5}\.|[A-H]\.(?:\d{1,2}\.?)*")
_MIN_COLUMN_LINES = 3
_MIN_COLUMN_WIDTH = 90.0
_BIN = 2.0
_MAX_BINS = 1000
_EDGE = 12
"""Bins; so near a gutter the lines beside it end and begin."""


@dataclass(slots=True)
class Line:
    """A line of text, or a table, with its box in points; y grows downwards."""

    page: int
    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    baseline: float
    size: float
    bold: bool = False
    italic: bool = False
    math_share: float = 0.0
    rows: tuple[tuple[str, ...], ...] = ()
    left: float = 0.0
    right: float = 0.0
    """Margins of the column that the line stands in."""

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


def lines_of(page: Page, runs: Iterable[Run]) -> list[Line]:
    """Neighbouring runs joined, first as the file shows them and then by where they stand."""
    groups: list[list[Run]] = []
    for run in runs:
        if groups and _follows(groups[-1], run):
            groups[-1].append(run)
        else:
            groups.append([run])
    groups.sort(key=lambda group: (round(_main(group).baseline), group[0].x0))
    joined: list[list[Run]] = []
    for group in groups:
        if joined and _continues(joined[-1], group):
            joined[-1] += group
        else:
            joined.append(group)
    return [_line(page.number, group) for group in joined]


def _follows(group: Sequence[Run], run: Run) -> bool:
    last = group[-1]
    size = max(last.size, run.size)
    shared = min(last.bottom, run.bottom) - max(last.top, run.top)
    return -0.5 * size < run.x0 - last.x1 < size and shared > 0.25 * min(last.size, run.size)


def _continues(group: Sequence[Run], after: Sequence[Run]) -> bool:
    size = max(_main(group).size, _main(after).size)
    same = abs(_main(group).baseline - _main(after).baseline) < 0.15 * size
    reach = 3.0 if len(group) == 1 and _SECTION_NUMBER.fullmatch(group[0].text) else 0.9
    return same and -0.3 * size < after[0].x0 - max(run.x1 for run in group) < reach * size


def _main(group: Sequence[Run]) -> Run:
    """The longest run of the largest size that is no exception in the line."""
    sizes = Counter[float]()
    for run in group:
        sizes[round(run.size, 1)] += run.length
    usual = max(size for size, count in sizes.items() if count >= 0.2 * sizes.total())
    return max((run for run in group if round(run.size, 1) == usual), key=lambda run: run.length)


def _line(page: int, group: list[Run]) -> Line:
    main = _main(group)
    group.sort(key=lambda run: run.x0)
    parts: list[str] = []
    before: Run | None = None
    for run in group:
        if before and run.x0 - before.x1 > 0.14 * main.size:
            parts.append(" ")
        parts.append(_with_level(run, main, after_formula=before is not None and before.math))
        before = run
    characters = Counter[str]()
    for run in group:
        characters.update(
            {kind: run.length for kind in ("all", "bold", "italic", "math") if kind == "all" or getattr(run, kind)}
        )
    total = characters["all"]
    return Line(
        page, "".join(parts), group[0].x0, max(run.x1 for run in group), min(run.top for run in group),
        max(run.bottom for run in group), main.baseline, main.size, characters["bold"] > 0.6 * total,
        characters["italic"] > 0.6 * total, characters["math"] / total,
    )  # fmt: skip


def _with_level(run: Run, main: Run, *, after_formula: bool) -> str:
    """Small letters above or below the line; capitals are parts of logos."""
    text = run.text
    if run.size > 0.85 * main.size or text.isupper() or len(text) > 12:
        return text
    if run.baseline < main.baseline - 0.12 * main.size:
        return f"^{text}" if after_formula else f"{RAISED}{text}{RAISED_END}"
    return f"_{text}" if run.baseline > main.baseline + 0.08 * main.size and run.math else text


def usual_gutter(pages: Sequence[Sequence[Line]]) -> float | None:
    """Where most pages with columns have them divided; a page with little text does not show it by itself."""
    gutters = [gutter for page in pages if (gutter := _gutter(page)) is not None]
    return median(gutters) if len(gutters) >= 0.3 * len(pages) and gutters else None


def reading_order(lines: Sequence[Line], usual: float | None = None, depth: int = 0) -> list[Line]:
    """Left column before right column, between the lines that go across both."""
    gutter = _gutter(lines) if depth < 3 else None
    if gutter is None and usual is not None and _may_divide(lines, usual):
        gutter = usual
    if gutter is None:
        column = sorted(lines, key=lambda line: (round(line.baseline), line.x0))
        _set_margins(column)
        return column
    ordered: list[Line] = []
    left: list[Line] = []
    right: list[Line] = []
    across: list[Line] = []
    for line in sorted(lines, key=lambda line: line.middle):
        if line.x1 <= gutter + _BIN:
            side = left
        elif line.x0 >= gutter - _BIN:
            side = right
        else:
            side = across
        if (side is across) == bool(left or right) and (across or left or right):
            ordered += _flush(left, right, across, depth)
        side.append(line)
    return ordered + _flush(left, right, across, depth)


def _flush(left: list[Line], right: list[Line], across: list[Line], depth: int) -> list[Line]:
    ordered = [line for part in (across, left, right) for line in reading_order(part, depth=depth + 1) if part]
    for part in (across, left, right):
        part.clear()
    return ordered


def _gutter(lines: Sequence[Line]) -> float | None:
    """Where the white space between two columns is, if there are two."""
    if len(lines) < 2 * _MIN_COLUMN_LINES:
        return None
    start, end = min(line.x0 for line in lines), max(max(line.x0, line.x1) for line in lines)
    if end - start < 2 * _MIN_COLUMN_WIDTH:
        return None
    width = max(_BIN, (end - start) / _MAX_BINS)
    bins = int((end - start) / width) + 2
    starts, ends = [0] * (bins + 1), [0] * (bins + 1)
    for line in lines:
        starts[int((line.x0 - start) / width)] += 1
        ends[min(int((line.x1 - start) / width) + 1, bins)] += 1
    begun, ended = [0, *accumulate(starts)], [0, *accumulate(ends)]
    scores = {
        i: begun[min(i + _EDGE, bins)] - begun[i] + ended[i + 1] - ended[max(i - _EDGE, 0)] - (begun[i] - ended[i + 1])
        for i in range(int(bins * 0.2), int(bins * 0.8))
    }
    highest = max(scores.values())
    best = [i for i, score in scores.items() if score == highest]
    gutter = start + (best[0] + best[-1]) / 2 * width
    return gutter if _are_columns(lines, gutter, start, end) else None


def _may_divide(lines: Sequence[Line], gutter: float) -> bool:
    across = sum(line.x0 < gutter - _BIN and line.x1 > gutter + _BIN for line in lines)
    left = sum(line.x1 <= gutter + _BIN for line in lines)
    return across < 0.3 * len(lines) and 0 < left < len(lines) - across


def _are_columns(lines: Sequence[Line], gutter: float, start: float, end: float) -> bool:
    """Whether both sides are running text: the cells of a table are short, and lines on one side only are no column."""
    for side, width in (
        ([line for line in lines if line.x1 <= gutter + _BIN], gutter - start),
        ([line for line in lines if line.x0 >= gutter - _BIN], end - gutter),
    ):
        full = sum(line.x1 - line.x0 > 0.7 * width for line in side)
        if full < _MIN_COLUMN_LINES or width < _MIN_COLUMN_WIDTH:
            return False
    return True


def _set_margins(lines: Sequence[Line]) -> None:
    if lines:
        left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
        for line in lines:
            line.left, line.right = left, right

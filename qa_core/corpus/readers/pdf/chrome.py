"""Running headers, running footers and page numbers, which stand at the edges of pages and are no text of the paper."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from qa_core.corpus.readers.pdf.layout import Line
from qa_core.corpus.readers.pdf.text import Run

_EDGE_ROWS = 2
_MIN_LINE_NUMBERS = 15
_LINE_NUMBER = re.compile(r"\d{1,4}")
_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"[\W_]*(?:page\s*)?(?:\d{1,5}|[ivxlc]{1,6})(?:\s*(?:of|/)\s*\d{1,5})?[\W_]*", re.IGNORECASE)


def without_chrome(pages: Sequence[list[Line]]) -> Iterator[list[Line]]:
    """The pages without lines at their edges that come again on others, or are only a number."""
    edges = [_edge(page) for page in pages]
    seen = Counter(key for edge in edges for key in {_key(line) for line in edge})
    places = Counter(place for edge in edges for place in {_place(line) for line in edge})
    often = max(2, len(pages) // 5)
    for page, edge in zip(pages, edges, strict=True):
        chrome = {
            id(line)
            for line in edge
            if _PAGE_NUMBER.fullmatch(line.text)
            or seen[_key(line)] >= often
            or (places[_place(line)] >= max(3, 0.4 * len(pages)) and _stands_apart(line, page))
        }
        yield [line for line in page if id(line) not in chrome]


def without_line_numbers(runs: list[Run]) -> list[Run]:
    """Drafts number their lines in the margin: a column of numbers, each one more than the one above."""
    numbers = sorted((run for run in runs if _LINE_NUMBER.fullmatch(run.text)), key=lambda run: run.baseline)
    columns: dict[int, list[Run]] = {}
    for run in numbers:
        columns.setdefault(round(run.x1 / 3), []).append(run)
    margin: set[int] = set()
    for column in columns.values():
        steps = sum(int(below.text) == int(above.text) + 1 for above, below in pairwise(column))
        if steps >= _MIN_LINE_NUMBERS and steps > 0.8 * (len(column) - 1):
            margin.update(map(id, column))
    return [run for run in runs if id(run) not in margin]


def _edge(page: Sequence[Line]) -> list[Line]:
    """The outermost rows at the top and the bottom."""
    rows: list[list[Line]] = []
    for line in sorted((line for line in page if not line.rows), key=lambda line: line.baseline):
        if rows and line.baseline - rows[-1][0].baseline < 4:
            rows[-1].append(line)
        else:
            rows.append([line])
    outer = rows if len(rows) <= 2 * _EDGE_ROWS else rows[:_EDGE_ROWS] + rows[-_EDGE_ROWS:]
    return [line for row in outer for line in row]


def _key(line: Line) -> tuple[str, int]:
    return _NUMBER.sub("#", line.text.strip()), round(line.baseline / 8)


def _place(line: Line) -> int:
    return round(line.baseline / 3)


def _stands_apart(line: Line, page: Sequence[Line]) -> bool:
    """Whether more white space than is usual on the page divides the line from all text."""
    baselines = sorted(other.baseline for other in page)
    steps = [below - above for above, below in pairwise(baselines) if below - above > 4]
    gap = min((abs(y - line.baseline) for y in baselines if abs(y - line.baseline) > 4), default=99.0)
    return len(line.text) < 120 and gap > max(1.9 * line.size, 1.4 * median(steps or [0.0]))

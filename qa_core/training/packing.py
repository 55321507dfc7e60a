"""Which rows each optimisation step trains on, packed into bins and written out in advance."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

Bin = tuple[int, ...]
"""Row numbers that share one packed sequence."""

_ALIKE = 32
"""Tokens. Rows whose lengths differ by less count as equally long, so that each pass packs other rows together."""


def pack(lengths: Sequence[int], capacity: int) -> list[Bin]:
    """Rows into bins of at most ``capacity`` tokens, best fit decreasing: long rows first, each where it leaves least.

    The bins are within 22% of the fewest that there can be (Johnson et al., 1974, doi:10.1137/0203025) and in practice
    nearly full. No row may be longer than ``capacity``.
    """
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []
    """Tokens left and the bin's number, sorted."""
    for row in sorted(range(len(lengths)), key=lambda row: -(lengths[row] // _ALIKE)):
        place = bisect_left(room, (lengths[row], 0))
        left, number = room.pop(place) if place < len(room) else (capacity, len(bins))
        if number == len(bins):
            bins.append([])
        bins[number].append(row)
        insort(room, (left - lengths[row], number))
    return [tuple(rows) for rows in bins]


def packed_order(lengths: Sequence[int], capacity: int, num_bins: int, seed: int) -> list[Bin]:
    """``num_bins`` bins: every pass over the rows permutes them anew by ``seed``, packs them and shuffles the bins.

    Written out in advance, step *k* trains on the same rows for any number of workers and after any resume.
    """
    generator = np.random.default_rng(seed)
    order: list[Bin] = []
    while len(order) < num_bins:
        rows = generator.permutation(len(lengths)).tolist()
        bins = pack([lengths[row] for row in rows], capacity)
        order += [tuple(rows[place] for place in bins[number]) for number in generator.permutation(len(bins))]
    return order[:num_bins]


def filled(bins: Sequence[Bin], lengths: Sequence[int], capacity: int) -> float:
    """The share of the bins' room that tokens take."""
    return sum(lengths[row] for rows in bins for row in rows) / (len(bins) * capacity)

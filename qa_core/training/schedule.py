"""Which rows each optimisation step trains on, written out in advance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_WINDOW_BATCHES = 8
"""Batches that are sorted by length together."""


def row_order(lengths: Sequence[int], num_steps: int, batch_size: int, seed: int) -> list[int]:
    """Row numbers for ``num_steps`` batches: a new seeded permutation for each pass, and batches of like lengths.

    Written out in advance, step *k* trains on the same rows for any number of workers and after any resume. Within each
    window of batches rows are sorted by length, which halves the padding of rows with and without passages, and then
    the batches are shuffled.
    """
    generator = np.random.default_rng(seed)
    wanted, window = num_steps * batch_size, _WINDOW_BATCHES * batch_size
    passes = [generator.permutation(len(lengths)) for _ in range(-(-wanted // len(lengths)))]
    stream = np.concatenate(passes)[:wanted]
    order: list[int] = []
    for start in range(0, wanted, window):
        rows = sorted(stream[start : start + window].tolist(), key=lambda row: (lengths[row], row))
        batches = np.array(rows).reshape(-1, batch_size)
        order += generator.permutation(batches).ravel().tolist()
    return order


def by_length(lengths: Sequence[int]) -> list[int]:
    """Row numbers from short to long, so that a batch is hardly padded."""
    return sorted(range(len(lengths)), key=lambda row: lengths[row])

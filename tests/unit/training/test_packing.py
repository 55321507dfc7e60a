"""The order of training rows: full bins, every row equally often, and nothing left to chance."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qa_core.training.packing import filled, pack, packed_order


@given(st.lists(st.integers(1, 100), min_size=1, max_size=200))
def test_every_row_is_in_one_bin_and_no_bin_overflows(lengths: list[int]) -> None:
    bins = pack(lengths, 100)
    assert sorted(row for rows in bins for row in rows) == list(range(len(lengths)))
    assert all(sum(lengths[row] for row in rows) <= 100 for rows in bins)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=200))
def test_no_two_bins_could_have_been_one(lengths: list[int]) -> None:
    loads = sorted(sum(lengths[row] for row in rows) for rows in pack(lengths, 100))
    assert len(loads) == 1 or loads[0] + loads[1] > 100


def test_bins_of_ordinary_rows_are_nearly_full() -> None:
    lengths = np.random.default_rng(1).integers(60, 900, 2000).tolist()
    assert filled(pack(lengths, 2048), lengths, 2048) > 0.98


def test_every_row_is_seen_equally_often_and_each_pass_packs_anew() -> None:
    lengths = [200 + row for row in range(40)]  # two to a bin
    order = packed_order(lengths, 500, num_bins=60, seed=1)
    assert set(Counter(row for rows in order for row in rows).values()) == {3}
    assert set(map(frozenset, order[:20])) != set(map(frozenset, order[20:40]))


def test_the_order_is_the_seeds() -> None:
    lengths = [10, 50, 90] * 5
    order = packed_order(lengths, 100, num_bins=30, seed=1)
    assert order == packed_order(lengths, 100, num_bins=30, seed=1)
    assert order != packed_order(lengths, 100, num_bins=30, seed=2)
    assert order[:10] == packed_order(lengths, 100, num_bins=10, seed=1)  # a longer run begins like a shorter one


def test_fewer_rows_than_a_step_needs_are_repeated() -> None:
    assert len(packed_order([5, 5, 5], 8, num_bins=24, seed=1)) == 24

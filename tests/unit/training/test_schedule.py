"""The order of training rows."""

from __future__ import annotations

from collections import Counter

from qa_core.training.schedule import by_length, row_order


def test_every_row_is_seen_equally_often_and_alike_lengths_share_a_batch() -> None:
    lengths = [10, 500] * 20
    order = row_order(lengths, num_steps=30, batch_size=4, seed=1)
    assert set(Counter(order).values()) == {3}
    batches = [order[start : start + 4] for start in range(0, len(order), 4)]
    mixed = sum(len({lengths[row] for row in batch}) > 1 for batch in batches)
    assert mixed <= 4  # at most one in each window of eight batches
    assert order == row_order(lengths, num_steps=30, batch_size=4, seed=1)
    assert order != row_order(lengths, num_steps=30, batch_size=4, seed=2)


def test_fewer_rows_than_a_batch_still_fill_every_step() -> None:
    assert len(row_order([5, 5, 5], num_steps=3, batch_size=8, seed=1)) == 24


def test_evaluation_rows_go_from_short_to_long() -> None:
    assert by_length([30, 10, 20]) == [1, 2, 0]

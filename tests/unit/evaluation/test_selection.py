from __future__ import annotations

from qa_core.evaluation.selection import evenly, spread


def test_every_group_gives_one_row_in_turn() -> None:
    assert evenly(["a1", "a2", "a3", "b1", "c1", "c2"], lambda row: row[0], 5) == ["a1", "b1", "c1", "a2", "c2"]


def test_without_a_limit_every_row_is_kept() -> None:
    assert sorted(evenly(["a1", "b1", "a2"], lambda row: row[0], None)) == ["a1", "a2", "b1"]


def test_rows_are_spread_over_a_list_and_none_is_taken_twice() -> None:
    assert spread(range(65), 64) == [place * 65 // 64 for place in range(64)]
    assert spread("abcdef", 2) == ["a", "d"]
    assert spread("ab", 9) == ["a", "b"]
    assert spread([], 3) == []

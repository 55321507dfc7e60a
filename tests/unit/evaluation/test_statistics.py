from __future__ import annotations

import numpy as np
import pytest

from qa_core.evaluation.statistics import DocumentBootstrap, mean_of


def bootstrap(documents: list[str], seed: int = 0, confidence: float = 0.95) -> DocumentBootstrap:
    return DocumentBootstrap(documents, samples=2000, confidence=confidence, seed=seed)


def test_the_value_is_the_plain_mean_over_rows() -> None:
    assert bootstrap(["a", "a", "b"]).interval(mean_of([0.0, 1.0, 0.5])).value == 0.5


def test_rows_without_a_say_are_left_out_of_the_mean() -> None:
    assert bootstrap(["a", "b", "c"]).interval(mean_of([1.0, float("nan"), 0.0])).value == 0.5


def test_two_papers_that_are_equal_on_average_are_as_unsure_as_their_questions() -> None:
    answers = [0.0, 1.0] * 25
    interval = bootstrap(["a"] * 50 + ["b"] * 50).interval(mean_of(answers * 2))
    assert 0.37 < interval.low < 0.43
    assert 0.57 < interval.high < 0.63  # 0.5 +- 1.96 * 0.5 / sqrt(100)


def test_every_redrawn_corpus_has_whole_papers_of_as_many_questions() -> None:
    drawn = bootstrap(["a", "a", "a", "b", "b"])._draws
    of_a, of_b = drawn[:, :3].sum(axis=1), drawn[:, 3:].sum(axis=1)
    assert set(zip(of_a.tolist(), of_b.tolist(), strict=True)) == {(6, 0), (3, 2), (0, 4)}
    assert drawn.max() > 2, "rows are drawn with replacement"


def test_two_opposite_papers_are_as_unsure_as_two_coins() -> None:
    # Both draws from paper a (1/4), one of each (1/2), both from b (1/4): the 95 % interval is all of [0, 1] ...
    wide = bootstrap(["a"] * 50 + ["b"] * 50).interval(mean_of([0.0] * 50 + [1.0] * 50))
    assert (wide.low, wide.high) == (0.0, 1.0)


def test_a_row_bootstrap_would_be_too_sure_of_rows_from_few_papers() -> None:
    values = mean_of([0.0] * 50 + [1.0] * 50)
    by_row = bootstrap([str(i) for i in range(100)]).interval(values)
    assert 0.35 < by_row.low < by_row.high < 0.65


def test_the_interval_of_a_mean_over_many_papers_is_the_textbook_one() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.1, size=400)
    interval = bootstrap([str(i) for i in range(400)]).interval(mean_of(values))
    half_width = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.002)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.002)


def test_one_paper_gives_no_interval() -> None:
    interval = bootstrap(["a", "a"]).interval(mean_of([0.0, 1.0]))
    assert (interval.value, interval.low, interval.high) == (0.5, None, None)


def test_papers_without_a_say_do_not_count_towards_an_interval() -> None:
    interval = bootstrap(["a", "b"]).interval(mean_of([0.5, float("nan")]))
    assert (interval.value, interval.low) == (0.5, None)


def test_differences_are_paired_so_what_papers_share_cancels_out() -> None:
    documents = [str(i) for i in range(30)]
    hard = np.linspace(0, 0.8, 30)
    drawn = bootstrap(documents)
    difference = drawn.difference(mean_of(hard + 0.1), mean_of(hard))
    assert difference.value == pytest.approx(0.1)
    assert difference.low == pytest.approx(0.1)
    assert difference.high == pytest.approx(0.1)


def test_the_same_seed_gives_the_same_interval_in_any_order_of_papers() -> None:
    one = bootstrap(["a", "b", "c"]).interval(mean_of([0.1, 0.5, 0.9]))
    other = bootstrap(["c", "a", "b"]).interval(mean_of([0.9, 0.1, 0.5]))
    assert (one.low, one.high) == (other.low, other.high)


def test_more_confidence_needs_a_wider_interval() -> None:
    documents, values = [str(i) for i in range(20)], mean_of(np.linspace(0, 1, 20))
    narrow = bootstrap(documents, confidence=0.8).interval(values)
    wide = bootstrap(documents, confidence=0.99).interval(values)
    assert wide.low < narrow.low < narrow.high < wide.high

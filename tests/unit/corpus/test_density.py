from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_core.corpus.density import information_density


def test_density_has_the_value_counted_by_hand() -> None:
    # 8 words: 5 content (H100, reads, 3350, GB, second) -> L = 5/8; all distinct -> V = 1; H100, 3350, GB -> S = 1
    assert information_density("The H100 reads 3,350 GB in each second") == pytest.approx((2 * 5 / 8 + 1 + 1) / 4)


def test_filler_says_less_than_a_result() -> None:
    filler = "It is what it is, and so it may well be that they are what they are, as we have said before."
    result = "All-reduce over 8 H100 GPUs moved 412 GB/s, 91.6 % of NVLink's 450 GB/s, at 1.3 ms p99 latency."
    assert information_density(filler) < 0.4 < 0.8 < information_density(result)


def test_repeating_a_text_does_not_make_it_denser() -> None:
    text = "Consistent hashing moves few keys when a node joins the ring of servers."
    assert information_density(text * 20) < information_density(text)


@given(st.text(max_size=300))
def test_density_of_any_text_is_between_0_and_1(text: str) -> None:
    assert 0.0 <= information_density(text) <= 1.0


def test_nothing_says_nothing() -> None:
    assert information_density("  \n--- ") == 0.0

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_core.config import RetrievalSettings
from qa_core.retrieval.ranking import information_density, rank
from qa_core.schemas import Passage


def settings(**values: float) -> RetrievalSettings:
    return RetrievalSettings.model_validate({"density_weight": 0.25, "max_per_document": 10, **values})


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


def test_the_score_weighs_similarity_and_density(passage: Callable[..., Passage]) -> None:
    ranked = rank([passage("a", similarity=0.8, density=0.0), passage("b", similarity=0.7, density=0.8)], settings())
    assert [(p.chunk_id, p.score) for p in ranked] == [("b", pytest.approx(0.725)), ("a", pytest.approx(0.6))]


def test_without_density_weight_the_order_is_that_of_similarity(passage: Callable[..., Passage]) -> None:
    passages = [passage("a", similarity=0.2, density=1.0), passage("b", similarity=0.3, density=0.0)]
    assert [p.chunk_id for p in rank(passages, settings(density_weight=0))] == ["b", "a"]


def test_equal_scores_keep_the_order_they_came_in(passage: Callable[..., Passage]) -> None:
    passages = [passage(name, similarity=0.5) for name in "cab"]
    assert [p.chunk_id for p in rank(passages, settings())] == ["c", "a", "b"]


def test_one_paper_gets_no_more_than_its_share(passage: Callable[..., Passage]) -> None:
    passages = [passage(str(i), similarity=1 - i / 10, doc_id="a" if i < 3 else "b") for i in range(5)]
    assert [p.chunk_id for p in rank(passages, settings(max_per_document=2))] == ["0", "1", "3", "4"]

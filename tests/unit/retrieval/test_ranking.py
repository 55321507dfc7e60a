from __future__ import annotations

from collections.abc import Callable

import pytest

from qa_core.config import RetrievalSettings
from qa_core.retrieval.ranking import rank
from qa_core.schemas import Passage


def settings(**values: float) -> RetrievalSettings:
    return RetrievalSettings.model_validate({"density_weight": 0.25, "max_per_document": 10, **values})


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

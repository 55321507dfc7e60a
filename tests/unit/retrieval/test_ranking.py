from __future__ import annotations

from collections.abc import Callable

import pytest

from qa_core.config import RetrievalSettings
from qa_core.retrieval.ranking import rank, without_repeats
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


PAPER = "A leader is elected. It holds the log. Terms only grow. Votes are kept."


def slice_of(passage: Callable[..., Passage], first: str, last: str, **fields: object) -> Passage:
    """The chunk that begins and ends with these words of the paper, which starts at character 100."""
    start, end = PAPER.index(first), PAPER.index(last) + len(last)
    return passage(first, text=PAPER[start:end], start_char=100 + start, end_char=100 + end, **fields)


def test_a_passage_keeps_only_what_better_ones_have_not_said(passage: Callable[..., Passage]) -> None:
    better = slice_of(passage, "It holds", "grow.", similarity=0.9)
    before = slice_of(passage, "A leader", "log.", similarity=0.8)
    after = slice_of(passage, "Terms", "kept.", similarity=0.7)
    ranked = rank([after, better, before], settings())
    assert [found.text for found in ranked] == [better.text, "A leader is elected.", "Votes are kept."]
    assert all(PAPER[p.start_char - 100 : p.end_char - 100] == p.text for p in ranked)


def test_a_passage_with_nothing_new_leaves_its_place_to_the_next(passage: Callable[..., Passage]) -> None:
    around = [
        slice_of(passage, "A leader", "log.", similarity=0.9),
        slice_of(passage, "Terms", "kept.", similarity=0.8),
    ]
    between = slice_of(passage, "It holds", "grow.", similarity=0.7)
    assert without_repeats(between, around) is None
    others = passage("next", doc_id="another", similarity=0.1)
    assert rank([*around, between, others], settings()) == rank([*around, others], settings())


def test_the_same_place_in_another_paper_is_no_repeat(passage: Callable[..., Passage]) -> None:
    one = slice_of(passage, "It holds", "grow.")
    assert without_repeats(one, [slice_of(passage, "A leader", "kept.", doc_id="another")]) is one
    around = [slice_of(passage, "A leader", "elected."), slice_of(passage, "Votes", "kept.")]
    assert without_repeats(one, around) is one

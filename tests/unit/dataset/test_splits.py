from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa_core.config import SplitFractions
from qa_core.dataset.splits import split_documents
from qa_core.errors import UserError

EIGHTY_TEN_TEN = SplitFractions()


def documents(count: int) -> list[str]:
    return [f"doc-{number}" for number in range(count)]


def test_ten_papers_are_split_eight_one_one() -> None:
    split = split_documents(documents(10), EIGHTY_TEN_TEN, seed=17)
    assert Counter(split.values()) == {"train": 8, "validation": 1, "test": 1}


@given(st.integers(3, 200), st.integers(0, 1000))
def test_every_paper_gets_one_split_and_no_split_is_empty(count: int, seed: int) -> None:
    split = split_documents(documents(count), EIGHTY_TEN_TEN, seed)
    assert set(split) == set(documents(count))
    assert set(split.values()) == {"train", "validation", "test"}
    assert Counter(split.values())["train"] >= count // 3


def test_neither_order_nor_repetition_of_the_papers_matters() -> None:
    names = documents(12)
    assert split_documents(names[::-1] * 3, EIGHTY_TEN_TEN, 17) == split_documents(names, EIGHTY_TEN_TEN, 17)


def test_another_seed_gives_another_split() -> None:
    splits = [tuple(sorted(split_documents(documents(20), EIGHTY_TEN_TEN, seed).items())) for seed in range(5)]
    assert len(set(splits)) > 1


def test_no_split_may_be_empty() -> None:
    with pytest.raises(ValueError, match="validation"):
        SplitFractions(train=0.9, validation=0.0, test=0.1)


def test_too_few_papers_for_the_splits_is_the_users_to_mend() -> None:
    with pytest.raises(UserError, match="2 papers"):
        split_documents(documents(2), EIGHTY_TEN_TEN, 17)

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_core.config import SplitFractions
from qa_core.corpus.dedup import NUM_HASHES, PaperFingerprint
from qa_core.dataset.splits import Signature, split_documents
from qa_core.errors import UserError

EIGHTY_TEN_TEN = SplitFractions()


def unlike(count: int, first: int = 0) -> dict[str, Signature | None]:
    """Papers that share no phrase."""
    return {f"doc-{first + number}": np.full(NUM_HASHES, first + number, dtype=np.uint32) for number in range(count)}


def family(name: str, size: int) -> dict[str, Signature | None]:
    """Papers of which each shares two in five phrases with the next, and none with the one after that."""
    papers: dict[str, Signature | None] = {}
    for number in range(size):
        signature = np.arange(NUM_HASHES) + 1_000_000 * (number + 1) + sum(name.encode()) * 1000
        if number:
            shared = slice(0, 102) if number % 2 else slice(102, 204)
            signature[shared] = papers[f"{name}-{number - 1}"][shared]  # type: ignore[index]
        papers[f"{name}-{number}"] = signature
    return papers


def sizes(papers: dict[str, Signature | None], seed: int = 17) -> Counter[str]:
    return Counter(split_documents(papers, EIGHTY_TEN_TEN, seed).values())


def splits_of(names: Iterable[str], split: dict[str, str]) -> set[str]:
    return {split[name] for name in names}


def test_papers_are_split_eighty_ten_ten() -> None:
    assert sizes(unlike(40)) == {"train": 32, "validation": 4, "test": 4}


def test_a_split_has_a_paper_of_few_and_two_of_many() -> None:
    assert sizes(unlike(3)) == {"train": 1, "validation": 1, "test": 1}
    assert sizes(unlike(9)) == {"train": 7, "validation": 1, "test": 1}
    assert sizes(unlike(10)) == {"train": 6, "validation": 2, "test": 2}


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(3, 60), st.lists(st.integers(2, 6), max_size=4), st.integers(0, 1000))
def test_every_paper_gets_one_split_no_split_is_empty_and_no_family_is_parted(
    count: int, families: list[int], seed: int
) -> None:
    groups = [family(f"family{number}", size) for number, size in enumerate(families)]
    papers = {name: signature for group in (unlike(count), *groups) for name, signature in group.items()}
    split = split_documents(papers, EIGHTY_TEN_TEN, seed)
    assert split.keys() == papers.keys()
    assert set(split.values()) == {"train", "validation", "test"}
    assert all(len(splits_of(group, split)) == 1 for group in groups)


def test_the_order_of_the_papers_does_not_matter() -> None:
    papers = {**unlike(22), **family("a", 2), **family("b", 2)}
    backwards = dict(reversed(papers.items()))
    for seed in range(20):
        assert split_documents(backwards, EIGHTY_TEN_TEN, seed) == split_documents(papers, EIGHTY_TEN_TEN, seed)


def test_another_seed_gives_another_split() -> None:
    papers = unlike(20)
    assert len({tuple(sorted(split_documents(papers, EIGHTY_TEN_TEN, seed).items())) for seed in range(5)}) > 1


def test_papers_that_are_alike_through_others_stay_together_wherever_the_threshold_finds_them_so() -> None:
    chain = family("chain", 6)
    papers = {**unlike(30), **chain}
    loose = SplitFractions(together_similarity=0.5)
    for seed in range(10):
        assert len(splits_of(chain, split_documents(papers, EIGHTY_TEN_TEN, seed))) == 1
    assert any(len(splits_of(chain, split_documents(papers, loose, seed))) > 1 for seed in range(10))


def test_a_family_counts_with_all_its_papers() -> None:
    papers = {**unlike(16), **family("a", 4)}
    for seed in range(10):
        assert sizes(papers, seed) == {"train": 16, "validation": 2, "test": 2}


def test_large_families_go_to_validation_and_test_only_where_nothing_else_is_left() -> None:
    papers = {**family("a", 5), **family("b", 4), **family("c", 3)}
    split = split_documents(papers, EIGHTY_TEN_TEN, 17)
    assert Counter(split.values()).keys() == {"train", "validation", "test"}


def test_two_versions_of_one_paper_are_together_and_a_paper_without_signature_is_alone() -> None:
    def signature(text: str) -> list[int]:
        fingerprint = PaperFingerprint()
        fingerprint.add(text, "paragraph")
        return fingerprint.signature

    text = " ".join(f"word{number} follows word{number * 7 % 199}" for number in range(200))
    papers: dict[str, Signature | None] = {**unlike(20), "a": signature(text), "z": signature(f"{text} and an end")}
    papers |= {"x": None, "y": None}
    splits = [split_documents(papers, EIGHTY_TEN_TEN, seed) for seed in range(10)]
    assert all(split["a"] == split["z"] for split in splits)
    assert any(split["x"] != split["y"] for split in splits)


def test_no_split_may_be_empty() -> None:
    with pytest.raises(ValueError, match="validation"):
        SplitFractions(train=0.9, validation=0.0, test=0.1)


def test_too_few_papers_for_the_splits_is_the_users_to_mend() -> None:
    with pytest.raises(UserError, match="2 papers have chunks"):
        split_documents(unlike(2), EIGHTY_TEN_TEN, 17)
    with pytest.raises(UserError, match="6 papers of 2 unlike ones"):
        split_documents({**family("a", 5), **unlike(1)}, EIGHTY_TEN_TEN, 17)

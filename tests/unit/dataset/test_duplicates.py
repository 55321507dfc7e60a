from __future__ import annotations

import numpy as np
import pytest

from qa_core.dataset.duplicates import drop_duplicates, near_duplicates, twins_across


def unit(*degrees: float) -> np.ndarray:
    """Vectors in a plane, so that the similarity of two is the cosine of the angle between them."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def alike(count: int) -> list[str]:
    return ["What is it?"] * count


def test_the_same_question_in_other_clothes_is_a_duplicate() -> None:
    same = [{"question": text} for text in ("What is a quorum?", "what is  the quorum", "What is a term?")]
    kept, dropped = drop_duplicates(same)
    assert [row["question"] for row in kept] == ["What is a quorum?", "What is a term?"]
    assert [row["question"] for row in dropped] == ["what is  the quorum"]


def test_a_question_near_an_earlier_one_is_told_with_that_one() -> None:
    assert near_duplicates(unit(0, 90, 5, 93), alike(4), 0.95) == [None, None, 0, 1]


def test_only_what_is_kept_makes_others_near() -> None:
    # 15 and 30 degrees are each within 18 of their neighbour; 30 is not within 18 of 0, and 15 is not kept.
    assert near_duplicates(unit(0, 15, 30), alike(3), 0.95) == [None, 0, None]


def test_questions_with_other_numbers_are_other_questions() -> None:
    questions = [f"What is the recall at rank {rank}?" for rank in ("8", "16", "8.0")]
    assert near_duplicates(unit(0, 0, 0), questions, 0.95) == [None, None, 0]
    assert near_duplicates(unit(0, 0), ["Is Q4_K good?", "Is Q5_K good?"], 0.95) == [None, None]


def test_no_question_has_no_duplicate() -> None:
    assert near_duplicates(np.zeros((0, 384), dtype=np.float32), [], 0.95) == []
    assert twins_across(np.zeros((0, 384), dtype=np.float32), [], [], 0.95) == []


@pytest.mark.parametrize("count", [511, 512, 513, 1600])
def test_blocks_change_nothing(count: int) -> None:
    rng = np.random.default_rng(17)
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    vectors[count // 2 :] += 4 * vectors[: count - count // 2]  # each late one is near an early one
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = vectors @ vectors.T
    expected: list[int | None] = []
    for row in range(count):
        near = [other for other in range(row) if expected[other] is None and similarity[row, other] >= 0.95]
        expected.append(near[0] if near else None)
    found = near_duplicates(vectors, alike(count), 0.95)
    assert found == expected
    assert len(set(found)) > count // 4


def test_what_is_kept_has_no_twins_and_dropped_rows_would() -> None:
    rng = np.random.default_rng(18)
    vectors = rng.normal(size=(1100, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    splits = [("train", "test")[number % 2] for number in range(1100)]
    kept = [place for place, twin in enumerate(near_duplicates(vectors, alike(1100), 0.95)) if twin is None]
    assert twins_across(vectors[kept], alike(len(kept)), [splits[place] for place in kept], 0.95) == []
    assert twins_across(vectors, alike(1100), splits, 0.95) != []


def test_twins_are_pairs_of_different_splits_that_ask_the_same() -> None:
    vectors = unit(0, 1, 2, 90)
    splits = ["train", "train", "test", "validation"]
    assert twins_across(vectors, alike(4), splits, 0.95) == [(0, 2), (1, 2)]
    assert twins_across(vectors, ["At 8?", "At 16?", "At 16?", "At 8?"], splits, 0.95) == [(1, 2)]

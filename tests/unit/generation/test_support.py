from __future__ import annotations

import pytest

from qa_core.generation.support import marking_sentences, supports

PASSAGE = "A ring all-reduce of N ranks takes 2(N-1) steps. Each rank sends one chunk to its right neighbour."


@pytest.mark.parametrize(
    "sentence",
    [
        "Each rank sends one chunk to its right neighbour [1].",
        "In an all-reduce each rank sends a chunk to the neighbour on its right [1].",
        "It takes 2(N-1) steps.",
    ],
)
def test_a_sentence_in_the_words_of_the_passage_is_supported(sentence: str) -> None:
    assert supports(PASSAGE, sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Each rank sends 3 chunks to its right neighbour.",
        "Each rank of the GPU sends one chunk to its right neighbour.",
        "Consistent hashing moves few keys between caches.",
        "So it is [1].",
    ],
)
def test_another_number_another_name_or_another_matter_is_not(sentence: str) -> None:
    assert not supports(PASSAGE, sentence)


def test_a_mark_belongs_to_the_sentence_that_carries_it() -> None:
    answer = "A quorum is a majority [1]. Two of them share a server [2]. So no two leaders are elected [1]."
    assert marking_sentences(answer, 2, 3) == ["Two of them share a server [2]."]
    assert len(marking_sentences(answer, 1, 3)) == 2
    assert marking_sentences(answer, 3, 3) == []

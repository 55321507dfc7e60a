from __future__ import annotations

import pytest

from tests.unit.dataset.template.asking import bare


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        (
            "Speculative decoding accelerates generation by letting a small model draft.",
            "how does speculative decoding accelerate generation",
        ),
        ("vLLM identifies a full block by a hash of its tokens.", "how does vLLM identify a full block"),
        ("The output rows are normalised once. Recall is usually measured on a sample.", "how is recall measured"),
        ("An all-reduce can be split into two halves.", "how can an all-reduce be split"),
        ("FSDP groups the layers of a model into units.", "how does FSDP group the layers of a model"),
        (
            "First-fit decreasing sorts the items from large to small and puts each one into the first bin.",
            "how does first-fit decreasing work",
        ),
        (
            "A leader that answers a read must first confirm its leadership.",
            "what must a leader that answers a read do first",
        ),
    ],
)
def test_what_is_done_by_some_means_is_asked_how(sentence: str, question: str) -> None:
    assert question in bare("procedure", sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Passage vectors can be computed in advance.",
        "Milakov and Gimelshein described a softmax that needs only one pass to find its scale.",
        "No gradient is computed for the frozen weights.",
        "A client cancels the slower copy and sends nothing further.",
        "Join-idle-queue goes further by letting idle servers report.",
        "The power of two choices finds an idle server with probability 0.19.",
    ],
)
def test_a_time_or_a_chance_is_no_means(sentence: str) -> None:
    assert bare("procedure", sentence) == []

from __future__ import annotations

import pytest

from qa_core.dataset.template.sentences import PAPER
from tests.unit.dataset.template.asking import bare


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        (
            "Synchronous training needs gang scheduling at every scale, because each worker waits for all others.",
            "why does synchronous training need gang scheduling at every scale",
        ),
        (
            "If one rank is late, then every other rank waits, because the operation has no timeout.",
            "if one rank is late, why does every other rank wait",
        ),
        ("Packing jobs is NP-hard, so schedulers use heuristics.", "why do schedulers use heuristics"),
        (
            "A generator cannot repair a missing passage, which is why retrieval deserves the first look.",
            "why does retrieval deserve the first look",
        ),
        (
            "We recommend hedging after the 95th percentile, because the extra load is small.",
            f"why does {PAPER} recommend hedging after the 95th percentile",
        ),
    ],
)
def test_a_stated_reason_is_asked_for(sentence: str, question: str) -> None:
    assert question in bare("analytical", sentence)


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Unlike hedged requests, tied requests do not wait.", "how do tied requests differ from hedged requests"),
        (
            "Unlike training checkpoints, streaming snapshots must follow the log.",
            "how do streaming snapshots differ from training checkpoints",
        ),
        (
            "Small chunks give precise matches, whereas large chunks keep more context.",
            "what is the difference between small chunks and large chunks",
        ),
        (
            "Cross-encoders are more accurate than bi-encoders because tokens of both texts interact.",
            "how do cross-encoders compare with bi-encoders",
        ),
    ],
)
def test_two_things_of_one_paper_are_set_against_each_other(sentence: str, question: str) -> None:
    assert question in bare("analytical", sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Connection tracking hides most of it, whereas a storage system would have to move the data.",
        "Offload suits users with few devices, whereas users with many devices prefer stage 3.",
    ],
)
def test_unlike_things_have_no_difference_worth_asking(sentence: str) -> None:
    assert not any("difference" in question for question in bare("analytical", sentence))


def test_a_second_verb_does_not_survive_into_the_question() -> None:
    text = "Blocks are split, so that each thread owns its rows and never exchanges results."
    assert bare("analytical", text) == []

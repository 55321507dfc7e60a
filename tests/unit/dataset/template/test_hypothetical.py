from __future__ import annotations

import pytest

from tests.unit.dataset.template.asking import bare


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        (
            "If a server receives a message with a larger term, then the server adopts that term.",
            "what happens if a server receives a message with a larger term",
        ),
        ("Without a cache, every step would repeat the work.", "what happens without a cache"),
        ("Removing a server moves only the keys of that server.", "what is the effect of removing a server"),
        (
            "A candidate becomes leader when a majority votes for the candidate.",
            "what happens to a candidate when a majority votes for the candidate",
        ),
        (
            "Round robin lowers waiting time when all servers are equal.",
            "what does round robin do when all servers are equal",
        ),
    ],
)
def test_a_condition_is_asked_for_its_consequence(sentence: str, question: str) -> None:
    assert bare("hypothetical", sentence) == [question]


@pytest.mark.parametrize(
    "sentence",
    [
        "We suggest a rebuild when 20 percent of the nodes are marked.",
        "The factor approaches 2, which explains why the time is equal when messages are large.",
        "Needing a second pass costs time.",
        "Tensor parallelism helps when a single layer is too large.",
    ],
)
def test_an_advice_or_an_aside_is_no_consequence(sentence: str) -> None:
    assert bare("hypothetical", sentence) == []

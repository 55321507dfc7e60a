from __future__ import annotations

import pytest

from qa_core.dataset.template.sentences import PAPER
from tests.unit.dataset.template.asking import bare

NAMED = "As Ousterhout said, it works. "


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("A KV block holds 16 tokens by default in vLLM.", "how many tokens does a KV block hold by default in vLLM"),
        ("A single scan takes about 1.5 ms.", "how many milliseconds does a single scan take"),
        (
            "Keeping two spare machines costs about 3% of capacity.",
            "what share of capacity does keeping two spare machines cost",
        ),
        (
            "A backward pass needs 2.5 times the arithmetic of the forward pass.",
            "how many times the arithmetic of the forward pass does a backward pass need",
        ),
        (
            "Reducing the delay to 2 ms raises the chance of success to 0.948.",
            "to what value does reducing the delay to 2 ms raise the chance of success",
        ),
        ("A longer interval raises the overhead by only 25%.", "by how much does a longer interval raise the overhead"),
        (
            "LoRA reduces the number of parameters by a factor of 10,000.",
            "by what factor does LoRA reduce the number of parameters",
        ),
        (
            "With an MTBF of 48.8 hours, the optimal interval grows to about 77 minutes.",
            "with an MTBF of 48.8 hours, to what value does the optimal interval grow",
        ),
        ("OPT-13B has a head dimension of 128.", "what head dimension does OPT-13B have"),
        ("A job on 1,024 machines fails about every 48.8 hours.", "how often does a job on 1,024 machines fail"),
        (
            "For one million vectors, the best number of lists is 4000.",
            "for one million vectors, what is the best number of lists",
        ),
        (
            NAMED + "Ousterhout introduced the idea of coscheduling in 1982.",
            "in which year did Ousterhout introduce the idea of coscheduling",
        ),
    ],
)
def test_a_number_is_asked_for_with_its_unit(sentence: str, question: str) -> None:
    assert question in bare("numeric", sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "A simple scheme has two practical drawbacks.",
        "Full fine-tuning updates every parameter of a model.",
        NAMED + "Ousterhout introduced the method in 1982.",
        "We recommend 25 MB as the starting point.",
    ],
)
def test_a_number_that_stands_for_something_said_elsewhere_is_not_asked_for(sentence: str) -> None:
    assert bare("numeric", sentence) == []


def test_a_thousand_separator_does_not_end_the_number() -> None:
    assert bare("factual", "We recommend flat search below 10,000 vectors.") == [
        f"what does {PAPER} recommend below 10,000 vectors"
    ]

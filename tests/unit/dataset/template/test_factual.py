from __future__ import annotations

import pytest

from qa_core.dataset.template.sentences import PAPER
from tests.unit.dataset.template.asking import bare


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Ongaro and Ousterhout designed Raft for teaching.", "who designed Raft for teaching"),
        ("Howard and Mortier concluded that both differ little.", "what did Howard and Mortier conclude"),
        ("A token tree contains several branches at each position.", "what does a token tree contain at each position"),
        ("Plain adapters depend on the rank of the update.", "what do plain adapters depend on"),
        ("HNSW turns nearest neighbour search into a short walk.", "what does HNSW turn nearest neighbour search into"),
        (
            "GEMINI keeps checkpoint replicas in the memory of peer machines.",
            "where does GEMINI keep checkpoint replicas",
        ),
        ("A sharded checkpoint must record how tensors were divided.", "what must a sharded checkpoint record"),
        ("Randomisation makes split votes rare.", "what makes split votes rare"),
        (
            "We recommend join-idle-queue when many dispatchers share a pool.",
            f"what does {PAPER} recommend when many dispatchers share a pool",
        ),
        (
            "We also recommend abstaining whenever no passage supports the answer.",
            f"when does {PAPER} recommend abstaining",
        ),
    ],
)
def test_who_what_and_where_are_asked(sentence: str, question: str) -> None:
    assert question in bare("factual", sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Fusion of ranks avoids the problem.",
        "Larger clusters tolerate more failures.",
        "No policy removes the need to find slow machines.",
        "The error hides a stall of six seconds.",
        "Sanders, Speck and Taylor introduced the construction in 2009.",
    ],
)
def test_an_answer_that_names_nothing_is_not_asked_for(sentence: str) -> None:
    assert bare("factual", sentence) == []

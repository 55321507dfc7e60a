from __future__ import annotations

import re

import pytest

from tests.unit.dataset.template.asking import pairs, request, source


def ask(text: str) -> dict[str, str]:
    return {pair["question"]: pair["answer"] for pair in pairs(request("unanswerable", source(text)))}


def test_the_answer_says_what_is_missing_and_what_is_stated_instead() -> None:
    found = ask("Gang scheduling is a policy that starts all tasks of a job together.")
    assert len(found) == 2
    for question, answer in found.items():
        assert "gang scheduling" in question
        missing, _, stated = answer.partition("; ")
        assert missing.startswith("The paper does not say ")
        assert stated == "it does say that gang scheduling is a policy that starts all tasks of a job together."


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (
            "Gang scheduling is a policy that starts all tasks together.",
            "who first proposed|in which year|which company|on which hardware|which software libraries",
        ),
        (
            "A block table is an array that maps logical blocks to physical ones.",
            "who coined|which software libraries",
        ),
        ("Fan-out is the number of servers that a request contacts.", "who coined|what is a typical fan-out"),
        (
            "Horovod uses a technique of fused tensors. Soon after, Horovod grew.",
            "who first|in which year|programming language|licence|organisations|version number|operating systems",
        ),
    ],
)
def test_a_thing_is_asked_for_what_its_kind_has(text: str, asked: str) -> None:
    found = ask(text)
    assert found
    assert all(re.search(asked, question, re.IGNORECASE) for question in found)


def test_what_the_passage_states_is_not_asked_for() -> None:
    text = "Consistent hashing is a scheme of lists."
    told = (
        " Thaler introduced consistent hashing at Google in 1998, as libraries such as NumPy implement it, "
        "and measured it on GPUs."
    )
    assert ask(text)
    assert ask(text + told) == {}


@pytest.mark.parametrize(
    "text",
    [
        "A block is a group of weights that share a scale.",
        "Locality is the property that tasks run close to their data.",
        "We recommend gang scheduling for all jobs.",
        "Ousterhout uses the term for a schedule of tasks.",
    ],
)
def test_nobody_asks_who_invented_an_everyday_word(text: str) -> None:
    assert ask(text) == {}


def test_a_one_word_method_is_asked_about_in_its_paper() -> None:
    found = ask("Backfilling is a technique that lets small jobs run ahead.")
    assert found
    assert all(question.startswith("In the context of Raft Consensus, ") for question in found)

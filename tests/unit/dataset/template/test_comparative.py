from __future__ import annotations

import pytest

from qa_core.dataset.template.comparative import comparative
from tests.unit.dataset.template.asking import source

A, B = "HNSW Search: Graphs", "Retrieval"


def compare(one: str, other: str) -> list[tuple[str, str]]:
    found = comparative(source(one, title=A), source(other, title=B))
    return [(proposal.question, proposal.answer) for proposal in found]


def test_two_recommendations_on_one_matter_are_set_side_by_side() -> None:
    ((question, answer),) = compare(
        "We recommend flat search below 10,000 vectors, and a graph above that number.",
        "We recommend exact flat search for up to 50,000 vectors, because a scan is fast.",
    )
    assert question == 'What do "HNSW Search" and "Retrieval" each recommend about flat search?'
    assert answer == (
        '"HNSW Search" recommends flat search below 10,000 vectors, and a graph above that number. '
        '"Retrieval" recommends exact flat search for up to 50,000 vectors, because a scan is fast.'
    )


def test_two_definitions_of_one_term() -> None:
    ((question, answer),) = compare(
        "Preemption is the act of stopping a running job for another job.",
        "Preemption is the removal of a running sequence from memory.",
    )
    assert question == 'How do "HNSW Search" and "Retrieval" each define preemption?'
    assert answer == (
        'According to "HNSW Search", preemption is the act of stopping a running job for another job. '
        'According to "Retrieval", preemption is the removal of a running sequence from memory.'
    )


def test_two_values_of_one_measure() -> None:
    ((question, _),) = compare(
        "PyTorch uses a default bucket size of 25 MB in every process group.",
        "We recommend a bucket size of 40 MB for sharded training on large groups.",
    )
    assert question == 'Which figures do "HNSW Search" and "Retrieval" give for the bucket size?'


def test_two_things_of_one_kind() -> None:
    ((question, _),) = compare(
        "An all-reduce is a collective operation that leaves every rank with the sum.",
        "A reduce-scatter is a collective operation that leaves every rank with one share.",
    )
    assert question == ('Going by "HNSW Search" and "Retrieval", how does an all-reduce differ from a reduce-scatter?')


def test_statements_that_only_share_a_matter_are_asked_one_by_one() -> None:
    ((question, _),) = compare(
        "Virtual nodes reduce the imbalance, because each server then owns many small arcs.",
        "A ring with 100 virtual nodes per server has a relative standard deviation of about 10%.",
    )
    assert question == (
        'According to "HNSW Search", why do virtual nodes reduce the imbalance, and according to "Retrieval", '
        "what relative standard deviation does a ring with 100 virtual nodes per server have?"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "The server sends every message to the leader of the current term.",
            "The server reads the message because a client needs the value.",
        ),
        ("Bounded loads add a hard limit to every server.", "Autoregressive decoding produces one token at a time."),
        ("The bucket size is a compromise.", "The bucket size is a compromise."),
    ],
)
def test_a_word_in_common_is_not_enough(one: str, other: str) -> None:
    assert compare(one, other) == []


def test_each_passage_is_quoted_as_it_stands() -> None:
    one = source("Paging reduces waste but not the size of the cache [1].", title=A)
    other = source("More follows. Paging prevents a failure during short peaks of memory use.", title=B)
    (proposal,) = comparative(one, other)
    assert [
        (quote.passage, quote.text in text) for quote, text in zip(proposal.quotes, (one.text, other.text), strict=True)
    ] == [
        (1, True),
        (2, True),
    ]
    assert proposal.quotes[0].text == one.text


def test_tables_and_code_are_not_compared() -> None:
    text = "Preemption is the act of stopping a running job for another job."
    assert list(comparative(source(text, "table", A), source(text, title=B))) == []


def test_no_sentence_is_used_twice() -> None:
    one = "Paging reduces waste but not the inherent size of the cache."
    other = "Paging prevents a failure during the memory peaks. Paging moves unused pages to the host memory."
    assert len(compare(one, other)) == 1

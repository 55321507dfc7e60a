from __future__ import annotations

from typing import get_args

import pytest

from qa_core.config import QuestionType
from qa_core.dataset.template.sentences import PAPER
from qa_core.dataset.template.teacher import TemplateTeacher, in_full
from tests.unit.dataset.template.asking import TITLE, pairs, request, source

FULL = (
    "A hash ring is a circle on which servers are placed. A token tree is a tree that holds drafts. "
    "Synchronous training needs gang scheduling because every worker waits for every other worker. "
    "A KV block holds 16 tokens by default in vLLM. Randomisation makes split votes rare. "
    "If two machines fail together, then two copies are lost. "
    "Speculative decoding accelerates generation by letting a small model draft."
)
SINGLE = [kind for kind in get_args(QuestionType) if kind != "comparative"]


@pytest.mark.parametrize("kind", SINGLE)
def test_a_full_passage_answers_every_type(kind: str) -> None:
    assert pairs(request(kind, source(FULL)))


@pytest.mark.parametrize("kind", SINGLE)
def test_every_quote_is_copied_from_the_passage(kind: str) -> None:
    for pair in pairs(request(kind, source(FULL))):
        assert [quote["passage"] for quote in pair["evidence"]] == [1]
        assert pair["evidence"][0]["quote"] in FULL
        assert pair["question"].endswith("?")


@pytest.mark.parametrize("kind", ["table", "code", "math", "references"])
def test_only_running_text_is_asked_about(kind: str) -> None:
    assert pairs(request("definition", source("A quorum is a set of servers that overlaps others.", kind))) == []


def test_a_passage_without_a_usable_sentence_gives_an_empty_reply() -> None:
    assert TemplateTeacher(17).reply(request("factual", source("See above."))) == '{"pairs": []}'


def test_no_more_are_replied_than_asked_for() -> None:
    assert len(pairs(request("definition", source(FULL), count=1))) == 1


def test_a_repeated_request_gets_the_next_ones_and_then_none() -> None:
    first, second, third = (pairs(request("definition", source(FULL), count=1, attempt=n)) for n in range(3))
    assert {pair["question"] for pair in first + second} == {"What is a hash ring?", "What is a token tree?"}
    assert third == []


def test_the_reply_depends_on_the_request_and_the_seed_alone() -> None:
    asked = [request(kind, source(FULL)) for kind in SINGLE]
    forwards = [TemplateTeacher(17).reply(one) for one in asked]
    teacher = TemplateTeacher(17)
    assert [teacher.reply(one) for one in asked[::-1]] == forwards[::-1]


def test_the_seed_decides_which_come_first() -> None:
    text = " ".join(f"A {name} ring is a circle that holds keys." for name in ("hash", "token", "gossip", "storage"))
    asked = request("definition", source(text), count=1)
    assert len({TemplateTeacher(seed).reply(asked) for seed in range(12)}) > 1


def test_every_sentence_is_asked_once_before_one_is_asked_twice() -> None:
    text = "Priority bands prevent chains of preemption. Connection tracking hides the cost of a move."
    found = pairs(request("factual", source(text)))
    assert len(found) == 4
    assert found[0]["answer"] != found[1]["answer"]


def test_one_sentence_is_not_asked_in_nearly_the_same_words_under_two_types() -> None:
    text = "A hash ring is a circle that holds keys. " + FULL
    seen: dict[str, str] = {}
    for kind in SINGLE:
        for pair in pairs(request(kind, source(text))):
            assert seen.setdefault(pair["question"], kind) == kind


@pytest.mark.parametrize(
    ("question", "full"),
    [
        ("what is a hash ring", "What is a hash ring?"),
        ("what is a term", "In the context of Raft Consensus, what is a term?"),
        ("why does the election fail", "In the context of Raft Consensus, why does the election fail?"),
        ("what happens if a server leaves", "In the context of Raft Consensus, what happens if a server leaves?"),
        ("what does stage 1 partition", "In the context of Raft Consensus, what does stage 1 partition?"),
        (f"what does {PAPER} recommend for reads", 'What does "Raft Consensus" recommend for reads?'),
    ],
)
def test_a_question_that_leans_on_its_topic_names_it(question: str, full: str) -> None:
    assert in_full(question, TITLE) == full


def test_a_comparative_request_needs_two_sources() -> None:
    with pytest.raises(ValueError, match="two sources, not 1"):
        TemplateTeacher(17).reply(request("comparative", source(FULL)))


def test_a_comparative_reply_quotes_both_passages() -> None:
    one = source("Preemption is the act of stopping a running job for others.", title="Scheduling")
    other = source("Preemption is the removal of a sequence from memory.", title="Caches")
    (pair,) = pairs(request("comparative", one, other))
    assert [(quote["passage"], quote["quote"]) for quote in pair["evidence"]] == [(1, one.text), (2, other.text)]

from __future__ import annotations

import pytest

from qa_core.dataset.template.phrases import common_action, common_phrase, general, stem, telling_words


def test_the_longest_shared_noun_phrase_is_found() -> None:
    phrase = common_phrase("a default bucket size of 25 MB is short", "the larger bucket size pays off")
    assert phrase is not None
    assert phrase.stems == ("bucket", "size")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the server sends a message", "a server reads the message"),
        ("each stored vector is short", "a stored vector is long"),
        ("a flat index is small", "a flat ring is slow"),
        ("the copy takes 25 MB of space", "a write takes 40 MB of disk"),
    ],
)
def test_everyday_words_and_parts_of_other_phrases_are_nothing_in_common(one: str, other: str) -> None:
    assert common_phrase(one, other) is None


def test_a_gerund_of_advice_meets_its_verb() -> None:
    action = common_action("PAPER recommends hedging after 10 ms", "a balancer should hedge late")
    assert action is not None
    assert action.general == "hedging"


@pytest.mark.parametrize(
    ("phrase", "spoken"),
    [
        ("a tied request", "tied requests"),
        ("an all-reduce", "all-reduces"),
        ("flat search", "flat search"),
        ("the KV cache", "KV cache"),
        ("virtual nodes", "virtual nodes"),
        ("a policy", "policies"),
    ],
)
def test_one_speaks_of_things_in_general(phrase: str, spoken: str) -> None:
    assert general(phrase) == spoken


def test_stems_are_singular() -> None:
    assert [stem(word) for word in ("Queries", "hashes", "nodes", "focus")] == ["query", "hash", "node", "focus"]


def test_verbs_and_everyday_nouns_tell_nothing() -> None:
    assert telling_words("the server needs a reduce-scatter of tensors") == {"reduce-scatter"}

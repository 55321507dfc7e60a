from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_core.dataset.checks.parsing import ParsedReply, parse
from qa_core.dataset.checks.rejection import Rejection
from qa_core.dataset.proposals import Proposal, Quote, reply_text

GOOD = Proposal("What is BM25?", "A ranking function.", (Quote(1, "BM25 is a ranking function"),))
PAIR = {"question": "What is BM25?", "answer": "A ranking function.", "evidence": [{"passage": 1, "quote": "BM25 is"}]}
SLOW = {"derandomize": True, "deadline": None, "suppress_health_check": list(HealthCheck)}


def rejection(text: str, num_sources: int = 1) -> Rejection:
    found = parse(text, num_sources)
    assert isinstance(found, Rejection)
    return found


def pairs(text: str, num_sources: int = 1) -> ParsedReply:
    found = parse(text, num_sources)
    assert isinstance(found, ParsedReply), found
    return found


def test_what_a_teacher_is_asked_to_write_is_read_back() -> None:
    assert pairs(reply_text([GOOD, GOOD])).proposals == (GOOD, GOOD)


@pytest.mark.parametrize(
    "around",
    [
        "```json\n{}\n```",
        "Here are the pairs, as {{JSON}}:\n{}\nI hope this helps {{:-)}}!",
        '<think>Maybe {{"pairs": []}}?</think>\n{}',
        '{{"result": {}}}',
    ],
)
def test_what_stands_around_the_object_is_passed_over(around: str) -> None:
    assert pairs(around.format(reply_text([GOOD]))).proposals == (GOOD,)


@pytest.mark.parametrize(
    ("text", "stage", "reason"),
    [
        ("", "reply", "empty_reply"),
        (" \n\t", "reply", "empty_reply"),
        ("I'm sorry, I can't help with that.", "reply", "refusal"),
        ("I’m sorry, but I cannot write questions about this.", "reply", "refusal"),
        ("As an AI, I must decline.", "reply", "refusal"),
        ("There is nothing here.", "schema", "invalid_json"),
        (reply_text([GOOD, GOOD])[:-30], "schema", "invalid_json"),
        (reply_text([GOOD])[:40], "schema", "invalid_json"),
        ("{" * 100_000, "schema", "invalid_json"),
        ('{"a":' * 100_000, "schema", "invalid_json"),
        ('{"pairs": ' + "[" * 100_000, "schema", "invalid_json"),
        ('{"pairs": [1' + "0" * 5000 + "]}", "schema", "invalid_json"),
        ('{"questions": []}', "schema", "wrong_schema"),
        ('{"pairs": "none"}', "schema", "wrong_schema"),
        ("{}", "schema", "wrong_schema"),
        ('{"pairs": []}', "schema", "no_pairs"),
    ],
)
def test_a_reply_without_pairs_says_why(text: str, stage: str, reason: str) -> None:
    found = rejection(text)
    assert (found.stage, found.reason) == (stage, reason)


def test_the_detail_names_what_stands_there_instead() -> None:
    assert "questions" in rejection('{"questions": []}').detail
    assert rejection(reply_text([GOOD])[:40]).detail.endswith(reply_text([GOOD])[20:40])


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"question": ""}, "pair 2: no text in question"),
        ({"question": None}, "pair 2: no text in question"),
        ({"answer": ["a"]}, "pair 2: no text in answer"),
        ({"evidence": []}, "pair 2: no list of evidence"),
        ({"evidence": "BM25"}, "pair 2: no list of evidence"),
        ({"evidence": ["BM25"]}, "pair 2: evidence is not a list of objects"),
        ({"evidence": [{"passage": 2, "quote": "x"}]}, "pair 2: evidence names passage 2, of 1"),
        ({"evidence": [{"passage": True, "quote": "x"}]}, "pair 2: evidence names passage a bool, of 1"),
        ({"evidence": [{"passage": 10**4000, "quote": "x"}]}, f"pair 2: evidence names passage {10**19}, of 1"),
        ({"evidence": [{"passage": 1}]}, "pair 2: no text in quote"),
        ({"answer": "half \ud83d a smile"}, "pair 2: answer has half a surrogate pair"),
    ],
)
def test_one_bad_pair_costs_none_of_the_others(changes: dict[str, Any], detail: str) -> None:
    found = pairs(json.dumps({"pairs": [PAIR, {**PAIR, **changes}, PAIR]}))
    assert len(found.proposals) == 2
    (bad,) = found.bad_pairs
    assert (bad.rejection.reason, bad.rejection.detail) == ("wrong_schema", detail)
    assert json.loads(bad.raw).keys() == PAIR.keys()


def test_a_pair_that_is_no_object_is_bad() -> None:
    assert [bad.raw for bad in pairs('{"pairs": ["x", 3]}').bad_pairs] == ['"x"', "3"]


def test_a_quote_may_be_of_the_second_passage_where_there_are_two() -> None:
    text = json.dumps({"pairs": [{**PAIR, "evidence": [{"passage": 2, "quote": "x"}]}]})
    assert pairs(text, num_sources=2).proposals[0].quotes == (Quote(2, "x"),)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"\alpha and \(x\)", r"\alpha and \(x\)"),  # no JSON escapes at all
        (r"\\beta and \beta", r"\beta and \beta"),  # \b is one, of a character that no text has
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        (r"\upsilon \u00e9", "\\upsilon é"),
    ],
)
def test_latex_that_was_not_escaped_is_mended(written: str, read: str) -> None:
    text = reply_text([GOOD]).replace("A ranking function.", written)
    assert pairs(text).proposals[0].answer == read


def test_white_space_inside_question_and_answer_is_one_blank() -> None:
    text = reply_text([Proposal("What\n is   it?", "A\tb.", GOOD.quotes)])
    assert [(each.question, each.answer) for each in pairs(text).proposals] == [("What is it?", "A b.")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["question", "answer", "evidence", "passage", "quote"])
PAIRS = st.lists(JSON | st.dictionaries(FIELDS, JSON | st.lists(st.dictionaries(FIELDS, JSON)), max_size=5))


@settings(max_examples=60, **SLOW)
@given(st.text() | JSON.map(json.dumps) | PAIRS.map(lambda value: json.dumps({"pairs": value})), st.integers(1, 2))
def test_no_reply_makes_it_raise_and_all_it_says_can_be_stored(text: str, num_sources: int) -> None:
    assert_storable(parse(text, num_sources))


@settings(max_examples=300, **SLOW)
@given(st.data())
def test_no_damage_to_a_good_reply_makes_it_raise(data: st.DataObject) -> None:
    text = reply_text([GOOD, GOOD])
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    damaged = (
        text[:start] + data.draw(st.text(max_size=12) | st.sampled_from(["\\", '"', "{", "}", "\\u"])) + text[end:]
    )
    assert_storable(parse(damaged, 1))


def assert_storable(found: ParsedReply | Rejection) -> None:
    if isinstance(found, Rejection):
        texts = [found.detail]
    else:
        texts = [text for bad in found.bad_pairs for text in (bad.raw, bad.rejection.detail)]
        texts += [text for each in found.proposals for text in (each.question, each.answer, each.to_json())]
    assert all(text.encode() is not None for text in texts)

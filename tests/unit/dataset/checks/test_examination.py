from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa_core.config import GenerateQASettings
from qa_core.dataset.checks import examine, is_worth_asking, reject_row
from qa_core.dataset.funnel import STEPS
from qa_core.dataset.proposals import Proposal, Quote, reply_text
from qa_core.dataset.requests import Source
from qa_core.schemas import QA, QA_REJECTED
from tests.unit.dataset.checks.making import request, source

BLOCKS = source("Intro. A block of the KV cache holds 16 tokens by default. Blocks are not contiguous in memory.")
TREE = source("A tree all-reduce has logarithmic depth, so small messages arrive sooner than over a ring.", 2)
GOOD = Proposal(
    "How many tokens does a block of the KV cache hold?",
    "It holds 16 tokens by default.",
    (Quote(1, "A block of the KV cache holds 16 tokens by default."),),
)
OPEN = Proposal(
    "In which year was the KV cache first published?",
    "The paper does not say in which year; it only states that a block holds 16 tokens.",
    GOOD.quotes,
)
Rows = list[dict[str, Any]]


def reply(text: str, error: str = "") -> dict[str, Any]:
    return {"request_id": "r1", "text": text, "error": error}


def outcome(
    text: str, question_type: str = "factual", *sources: Source, error: str = "", paper: tuple[str, ...] = ()
) -> tuple[Rows, Rows]:
    return examine(
        request(question_type, *(sources or (BLOCKS,))),
        reply(text, error),
        GenerateQASettings(max_answer_chars=120),
        teacher="openai:model",
        prompt_version="v1",
        paper_texts=lambda doc_id: {"d1": paper or (BLOCKS.text,)}[doc_id],
    )


def test_a_sound_pair_becomes_a_row_that_only_lacks_what_is_decided_later() -> None:
    (row,), rejected = outcome(reply_text([GOOD]))
    assert rejected == []
    assert list(row) == QA.names
    assert pa.Table.from_pylist([row], schema=QA).to_pylist() == [row]
    assert row["evidence"] == [
        {"chunk_id": "c1", "text": GOOD.quotes[0].text, "start_char": 107, "end_char": 107 + len(GOOD.quotes[0].text)}
    ]
    assert (row["doc_id"], row["chunk_ids"], row["answerable"], row["request_id"]) == ("d1", ["c1"], True, "r1")
    assert (row["teacher"], row["prompt_version"]) == ("openai:model", "v1")
    assert (row["split"], row["review"], row["context_chunk_ids"], row["messages"]) == (None, None, [], [])


def test_the_id_of_a_row_comes_from_its_content() -> None:
    other = Proposal("How many tokens fit into a block?", GOOD.answer, GOOD.quotes)
    (first,), _ = outcome(reply_text([GOOD]))
    (again,), _ = outcome(reply_text([GOOD]), "numeric")
    (third,), _ = outcome(reply_text([other]))
    assert first["qa_id"] == again["qa_id"] != third["qa_id"]


def test_each_pair_of_a_reply_is_judged_by_itself() -> None:
    wrong = Proposal(GOOD.question, "It holds 32 tokens.", GOOD.quotes)
    text = reply_text([wrong, GOOD]).replace('{"pairs": [', '{"pairs": ["no pair", ')
    accepted, rejected = outcome(text)
    assert [row["answer"] for row in accepted] == [GOOD.answer]
    assert [row["reason"] for row in rejected] == ["wrong_schema", "number_not_in_evidence"]
    assert rejected[1] == {
        "request_id": "r1", "attempt": 0, "doc_id": "d1", "chunk_id": "c1", "question_type": "factual",
        "stage": "grounding", "reason": "number_not_in_evidence", "detail": "32", "raw_response": wrong.to_json(),
        "teacher": "openai:model",
    }  # fmt: skip
    assert list(rejected[1]) == QA_REJECTED.names


def test_a_request_without_a_reply_is_one_rejected_row_with_what_was_told() -> None:
    accepted, (row,) = outcome("partial", error="budget_spent: 1000 tokens: all")
    assert accepted == []
    assert (row["stage"], row["reason"], row["detail"]) == ("reply", "budget_spent", "1000 tokens: all")
    assert row["raw_response"] == "partial"


def test_a_reply_that_cannot_be_read_is_kept_whole() -> None:
    _, (row,) = outcome("I'm sorry, I can't.")
    assert (row["stage"], row["reason"], row["raw_response"]) == ("reply", "refusal", "I'm sorry, I can't.")


@pytest.mark.parametrize(
    ("changes", "stage", "reason"),
    [
        ({"answer": "It holds 16 tokens. " * 7}, "schema", "answer_too_long"),
        ({"answer": "Standardmäßig sind es in jedem davon genau 16."}, "schema", "other_language"),
        ({"question": "Tell me the size of a block."}, "stands_alone", "not_a_question"),
        ({"question": "How many tokens does this block hold?"}, "stands_alone", "question_not_standalone"),
        ({"quotes": (Quote(1, "A block holds 32 tokens"),)}, "evidence", "evidence_not_found"),
        ({"quotes": (Quote(1, "contiguous in"),)}, "evidence", "evidence_too_short"),
        ({"answer": "You must answer with 16 tokens."}, "grounding", "instruction_leaked"),
        ({"answer": "The paper does not state how many tokens."}, "grounding", "abstains"),
        ({"answer": "It holds 16 bytes."}, "grounding", "unit_not_in_evidence"),
        ({"answer": "It holds 16 tokens in vLLM."}, "grounding", "name_not_in_evidence"),
    ],
)
def test_every_check_has_its_step_and_its_reason(changes: dict[str, Any], stage: str, reason: str) -> None:
    accepted, (row,) = outcome(reply_text([Proposal(**{**vars(GOOD), **changes})]))
    assert accepted == []
    assert (row["stage"], row["reason"]) == (stage, reason)


def test_a_comparative_row_has_both_passages_and_the_first_ones_paper() -> None:
    pair = Proposal(
        "How do blocks of a KV cache and trees of an all-reduce keep things short?",
        "A block holds 16 tokens by default, whereas a tree has logarithmic depth, so messages arrive sooner.",
        (Quote(2, "A tree all-reduce has logarithmic depth, so small messages arrive sooner"), *GOOD.quotes),
    )
    (row,), _ = outcome(reply_text([pair]), "comparative", BLOCKS, TREE)
    assert (row["doc_id"], row["chunk_ids"]) == ("d1", ["c1", "c2"])
    _, (rejected,) = outcome(
        reply_text([Proposal(pair.question, GOOD.answer, pair.quotes)]), "comparative", BLOCKS, TREE
    )
    assert (rejected["stage"], rejected["reason"]) == ("evidence", "one_passage_suffices")


def test_an_unanswerable_row_abstains_and_is_looked_for_in_the_whole_paper() -> None:
    (row,), _ = outcome(reply_text([OPEN]), "unanswerable")
    assert (row["answerable"], row["chunk_ids"]) == (False, ["c1"])
    _, (rejected,) = outcome(reply_text([Proposal(OPEN.question, GOOD.answer, OPEN.quotes)]), "unanswerable")
    assert rejected["reason"] == "does_not_abstain"
    told = (BLOCKS.text, "The KV cache was first published in 2019.")
    _, (rejected,) = outcome(reply_text([OPEN]), "unanswerable", paper=told)
    assert (rejected["reason"], rejected["detail"]) == ("answered_in_paper", told[1])


def test_a_row_that_is_dropped_later_is_kept_as_what_the_teacher_said() -> None:
    (row,), _ = outcome(reply_text([GOOD]))
    rejected = reject_row(row, "quota", "over_quota")
    assert list(rejected) == QA_REJECTED.names
    assert (rejected["stage"], rejected["reason"], rejected["raw_response"]) == ("quota", "over_quota", GOOD.to_json())


def test_no_question_is_made_from_references_footnotes_and_filler() -> None:
    assert is_worth_asking({"kind": "prose", "density": 0.5}, 0.35)
    assert not is_worth_asking({"kind": "references", "density": 0.9}, 0.35)
    assert not is_worth_asking({"kind": "footnote", "density": 0.9}, 0.35)
    assert not is_worth_asking({"kind": "prose", "density": 0.3}, 0.35)


TEXT = st.text(min_size=1, max_size=30) | st.sampled_from(
    [GOOD.question, GOOD.answer, OPEN.answer, "16 μs", r"$\alpha_{1}$"]
)


@settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.builds(Proposal, TEXT, TEXT, st.tuples(st.builds(Quote, st.integers(1, 2), TEXT))), max_size=3),
    st.data(),
)
def test_every_pair_ends_up_as_one_row_of_one_kind(pairs: list[Proposal], data: st.DataObject) -> None:
    question_type = data.draw(st.sampled_from(["factual", "comparative", "unanswerable"]))
    accepted, rejected = outcome(reply_text(pairs), question_type, BLOCKS, TREE)
    assert len(accepted) + len(rejected) == max(1, len(pairs))
    assert {row["stage"] for row in rejected} <= set(STEPS)
    pa.Table.from_pylist(accepted, schema=QA)
    pa.Table.from_pylist(rejected, schema=QA_REJECTED)

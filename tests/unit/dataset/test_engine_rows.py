"""Rows for the engine and replies out of it, without an engine."""

from __future__ import annotations

from typing import Any

import pytest

from qa_core.config import VllmTeacher
from qa_core.dataset.engine_rows import engine_reply, engine_row, overflow_reply
from qa_core.schemas import REPLIES

TEACHER = VllmTeacher(engine="vllm", model_source="m", max_model_len=1000, max_tokens=300, temperature=0.5)


def request(name: str = "r1") -> dict[str, Any]:
    return {"request_id": name, "response_schema": '{"type":"object"}'}


def output(text: str, tokens: int = 40, prompt_tokens: int = 100, failure: str = "") -> dict[str, Any]:
    return {
        "asked": "r1", "prompt_tokens": prompt_tokens, "generated_text": text, "num_generated_tokens": tokens,
        "time_taken_llm": 1.5, "__inference_error__": failure,
    }  # fmt: skip


def reason(reply: dict[str, Any]) -> str:
    return reply["error"].partition(": ")[0]


def test_a_request_is_held_to_its_schema_and_to_the_teachers_settings() -> None:
    row = engine_row(request(), [1, 2, 3], TEACHER, seed=7)
    assert row["asked"] == "r1"
    assert row["tokenized_prompt"] == [1, 2, 3]
    params = row["sampling_params"]
    assert params["structured_outputs"] == {"json": '{"type":"object"}'}
    assert (params["temperature"], params["max_tokens"]) == (0.5, 300)


def test_the_seed_of_a_request_depends_on_its_id_and_on_the_runs_seed_alone() -> None:
    def seed(name: str, run: int, prompt: list[int]) -> int:
        return engine_row(request(name), prompt, TEACHER, run)["sampling_params"]["seed"]

    assert seed("r1", 7, [1]) == seed("r1", 7, [1, 2])
    assert len({seed("r1", 7, [1]), seed("r2", 7, [1]), seed("r1", 8, [1])}) == 3


def test_a_whole_reply_has_no_error() -> None:
    reply = engine_reply(output('{"pairs": []}'), TEACHER)
    assert reply == {
        "request_id": "r1", "text": '{"pairs": []}', "error": "", "prompt_tokens": 100, "completion_tokens": 40,
        "seconds": 1.5, "failed_tries": [],
    }  # fmt: skip


@pytest.mark.parametrize(("tokens", "prompt_tokens"), [(300, 100), (200, 800)])
def test_a_reply_that_hit_a_limit_in_mid_sentence_is_cut_off_and_kept(tokens: int, prompt_tokens: int) -> None:
    reply = engine_reply(output('{"pairs": [{"question": "What', tokens, prompt_tokens), TEACHER)
    assert reason(reply) == "cut_off"
    assert reply["text"].endswith("What")


def test_a_reply_that_ends_on_the_last_token_allowed_is_whole() -> None:
    assert engine_reply(output('{"pairs": []}', 300), TEACHER)["error"] == ""


def test_a_reply_of_blanks_is_empty() -> None:
    assert reason(engine_reply(output(" \n", 2), TEACHER)) == "empty_reply"


def test_a_failed_row_tells_the_engines_reason() -> None:
    reply = engine_reply(output("", 0, failure="VLLMValidationError: Invalid JSON grammar."), TEACHER)
    assert reply["error"] == "engine_error: VLLMValidationError: Invalid JSON grammar."
    assert reply["completion_tokens"] == 0


def test_a_prompt_beyond_the_context_tells_both_numbers() -> None:
    reply = overflow_reply("r1", 12_345, TEACHER.context_tokens)
    assert reason(reply) == "context_overflow"
    assert "12,345" in reply["error"]
    assert "1,000" in reply["error"]


def test_every_reply_has_the_columns_of_replies() -> None:
    replies = [
        engine_reply(output("{}"), TEACHER),
        engine_reply(output("", 0, 9, "x"), TEACHER),
        overflow_reply("r", 2, 1),
    ]
    assert all(list(reply) == REPLIES.names for reply in replies)

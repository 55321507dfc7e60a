from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from qa_core.schemas import Passage
from serving.schemas import (
    ApiError,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChunkChoice,
    ChunkDelta,
    Citation,
    ErrorBody,
    Usage,
    from_validation,
    overloaded,
    prompt_too_long,
)

QUESTION = {"role": "user", "content": "What is a quorum?"}


def request(**fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate({"model": "lectern", "messages": [QUESTION], **fields})


def refusal(**fields: Any) -> ApiError:
    with pytest.raises(ValidationError) as caught:
        request(**fields)
    return from_validation(caught.value.errors())


def test_the_fields_of_the_openai_client_are_taken() -> None:
    parsed = request(
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=7,
        temperature=1,
        top_p=0.9,
        seed=-3,
        stop=["\n", "END"],
        n=1,
    )
    assert parsed.token_limit == 7
    assert parsed.stop_strings == ("\n", "END")
    assert parsed.include_usage
    assert parsed.question == "What is a quorum?"


def test_null_means_the_servers_choice() -> None:
    parsed = request(stream=None, max_tokens=None, temperature=None, top_p=None, seed=None, stop=None, n=None)
    assert (parsed.token_limit, parsed.stop_strings, parsed.include_usage) == (None, (), False)


def test_text_parts_are_joined_and_a_developer_speaks_as_the_system() -> None:
    parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "a quorum?"}]
    parsed = request(messages=[{"role": "developer", "content": "Be kind."}, {"role": "user", "content": parts}])
    assert parsed.messages[0].to_message() == {"role": "system", "content": "Be kind."}
    assert parsed.question == "What is a quorum?"


@pytest.mark.parametrize("field", ["tools", "logit_bias", "logprobs", "n_discard"])
def test_an_unknown_field_is_refused_by_name(field: str) -> None:
    error = refusal(**{field: []})
    assert (error.status, error.detail.param, error.detail.code) == (400, field, "unknown_parameter")
    assert field in error.detail.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "0.5"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ""}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages.0.content"),
        ({"model": None}, "model"),
    ],
)
def test_a_wrong_value_is_refused_with_the_place_of_it(fields: dict[str, Any], param: str) -> None:
    error = refusal(**fields)
    assert error.status == 400
    assert error.detail.param is not None
    assert error.detail.param.startswith(param)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"messages": [QUESTION, {"role": "assistant", "content": "A majority."}]}, "last message"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "last message"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "set one"),
        ({"stream_options": {"include_usage": True}}, "stream: true"),
        ({"stop": list("abcde")}, "at most 4"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields: dict[str, Any], words: str) -> None:
    assert words in refusal(**fields).detail.message


def test_a_refused_value_is_not_repeated_to_the_client() -> None:
    assert "s3cret" not in refusal(temperature="s3cret").detail.message


def test_an_error_keeps_its_parts_on_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(overloaded("full", retry_after_s=3)))
    assert (error.status, error.detail.message, error.headers) == (503, "full", {"Retry-After": "3"})


def test_a_prompt_that_is_too_long_is_told_with_both_numbers() -> None:
    error = prompt_too_long(prompt_tokens=1500, answer_tokens=96, n_ctx=1024)
    assert error.status == 400
    assert "1500" in error.detail.message
    assert "1024" in error.detail.message
    assert json.loads(ErrorBody(error=error.detail).model_dump_json())["error"]["code"] == "context_length_exceeded"


def test_a_chunk_leaves_out_what_it_does_not_carry_but_keeps_a_null_finish_reason() -> None:
    chunk = ChatCompletionChunk(
        id="chatcmpl-1", created=1, model="lectern", choices=[ChunkChoice(delta=ChunkDelta(content="A"))]
    )
    sent = json.loads(chunk.model_dump_json())
    assert sent["choices"] == [{"index": 0, "delta": {"content": "A"}, "finish_reason": None}]
    assert not {"usage", "citations"} & sent.keys()


def test_a_citation_points_at_the_characters_of_the_paper() -> None:
    passage = Passage(
        chunk_id="c1", doc_id="d1", source="raft.md", title="Raft", section_path=("Raft", "Quorums"),
        start_char=40, end_char=60, num_tokens=5, density=0.5, prefix="Raft > Quorums",
        text="A quorum is a majority.",
    )  # fmt: skip
    assert Citation.from_passage(2, passage).model_dump() == {
        "number": 2, "chunk_id": "c1", "source": "raft.md", "title": "Raft", "section_path": ["Raft", "Quorums"],
        "start_char": 40, "end_char": 60, "text": "A quorum is a majority.",
    }  # fmt: skip


def test_usage_adds_up() -> None:
    assert Usage.of(5, 7).total_tokens == 12

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from qa_core.generation.chat import ABSTENTION
from qa_core.schemas import Passage
from serving.citing import abstention, cite, trace
from serving.schemas.base import Usage
from serving.schemas.chat import ChatCompletionChunk, ChatCompletionRequest, ChunkChoice, ChunkDelta
from serving.schemas.completions import CompletionRequest
from serving.schemas.errors import ApiError, ErrorBody, from_validation, overloaded, prompt_too_long
from serving.schemas.retrieval import EmbeddingRequest

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


@pytest.mark.parametrize("field", ["tools", "logprobs", "n_discard"])
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
        ({"frequency_penalty": 3}, "frequency_penalty"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"retrieval": {"k": 0}}, "retrieval.k"),
        ({"retrieval": {"k": 51}}, "retrieval.k"),
        ({"retrieval": {"documents": []}}, "retrieval.documents"),
        ({"retrieval": {"depth": 3}}, "retrieval.depth"),
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
        ({"logit_bias": {"x": 1}}, "token ids"),
        ({"logit_bias": {"5": 101}}, "-100 to 100"),
        ({"logit_bias": {str(token): 1 for token in range(301)}}, "at most 300"),
        ({"response_format": {"type": "json_schema"}}, "json_schema belongs"),
        ({"response_format": {"type": "text", "json_schema": {"name": "x", "schema": {}}}}, "json_schema belongs"),
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


def passage(text: str, similarity: float = 0.0) -> Passage:
    return Passage(
        chunk_id="c1", doc_id="d1", source="raft.md", title="Raft", section_path=("Raft", "Quorums"),
        start_char=40, end_char=40 + len(text), num_tokens=5, density=0.5, prefix="Raft > Quorums", text=text,
        similarity=similarity, score=similarity,
    )  # fmt: skip


QUORUM, RING = "A quorum is a majority of the 5 servers.", "Consistent hashing moves few keys."


def test_a_citation_points_at_the_characters_of_the_paper() -> None:
    (citation,) = cite("A quorum is a majority [2].", [passage(RING), passage(QUORUM)])
    assert citation.model_dump() == {
        "number": 2, "chunk_id": "c1", "source": "raft.md", "title": "Raft", "section_path": ["Raft", "Quorums"],
        "start_char": 40, "end_char": 80, "text": QUORUM, "supported": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "supported"),
    [
        ("A quorum is a majority of the servers [1].", True),
        ("A quorum is a majority of the 7 servers [1].", False),
        ("A quorum is a majority [1]. A ring moves few keys between caches [1].", False),
        ("A ring moves few keys between caches [2]. A quorum is a majority [1].", True),
    ],
)
def test_a_citation_is_supported_when_the_passage_says_what_its_sentences_say(answer: str, supported: bool) -> None:
    citations = {citation.number: citation for citation in cite(answer, [passage(QUORUM), passage(RING)])}
    assert citations[1].supported is supported


def test_an_answer_that_finds_nothing_in_its_passages_is_an_abstention() -> None:
    assert abstention(ABSTENTION, [passage(QUORUM)]) == "not_in_the_passages"
    assert abstention(ABSTENTION, []) is None
    assert abstention("A majority [1].", [passage(QUORUM)]) is None


def test_a_trace_tells_what_was_kept_cut_and_left_out() -> None:
    found = [passage(QUORUM, 0.9), passage(RING, 0.8), passage(RING, 0.7)]
    kept = [found[0], passage("Consistent hashing", 0.8)]
    assert [(one.number, one.text_cut, one.similarity) for one in trace(found, kept)] == [
        (1, False, 0.9), (2, True, 0.8), (None, False, 0.7)
    ]  # fmt: skip


def test_a_response_format_becomes_the_schema_of_the_answer() -> None:
    schema = {"type": "object", "properties": {"found": {"type": "boolean"}}}
    named = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
    assert json.loads(request(response_format=named).answer_schema) == schema
    assert json.loads(request(response_format={"type": "json_object"}).answer_schema) == {"type": "object"}
    assert request(response_format={"type": "text"}).answer_schema == request().answer_schema == ""


def test_a_plain_completion_has_a_prompt_and_no_conversation() -> None:
    parsed = CompletionRequest.model_validate({"model": "lectern", "prompt": "A quorum is", "max_tokens": 3})
    assert (parsed.prompt, parsed.token_limit, parsed.answer_schema) == ("A quorum is", 3, "")
    with pytest.raises(ValidationError):
        CompletionRequest.model_validate({"model": "lectern", "prompt": "A", "messages": [QUESTION]})


def test_texts_to_embed_come_alone_or_as_a_list() -> None:
    fields = {"model": "lectern-embedding"}
    assert EmbeddingRequest.model_validate({**fields, "input": "one"}).texts == ["one"]
    assert EmbeddingRequest.model_validate({**fields, "input": ["one", "two"]}).texts == ["one", "two"]
    for wrong in ([], "", [""], [1, 2], ["x"] * 257):
        with pytest.raises(ValidationError):
            EmbeddingRequest.model_validate({**fields, "input": wrong})


def test_usage_adds_up() -> None:
    usage = Usage.of(5, 7, 3)
    assert usage.total_tokens == 12
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 3

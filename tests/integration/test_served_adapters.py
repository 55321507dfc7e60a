"""A base model and adapters over it, each a model of its own in one service."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from openai.types.chat import ChatCompletionMessageParam

from qa_core.config import GenerationSettings
from qa_core.generation.chat import build_messages
from qa_core.generation.engine import Engine, SamplingParams
from qa_core.quantization.convert import merge_adapter, write_gguf
from qa_core.quantization.description import Description
from qa_core.quantization.lora_gguf import write_lora_gguf
from tests.integration.service import Service, make_run, running_service
from tests.small_run import write_adapter

pytestmark = pytest.mark.ray

QUESTIONS = ["What is a quorum?", "Which keys move?", "Where are keys and values stored?"]
PROMPT = "Consistent hashing moves only"
TOKENS = 24


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def service(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    runs = tmp_path_factory.mktemp("runs")
    make_run(runs, work)
    folder = write_adapter(work / "model", work / "adapter", strength=1.0)
    write_lora_gguf(work / "model", folder, work / "adapter.gguf", Description())
    adapters = f"serve.adapters={{tuned: {work / 'adapter.gguf'}}}"
    base = f"serve.base_file={work / 'f16.gguf'}"
    with running_service(runs, base, adapters, "generation.no_repeat_ngram_size=0") as service:
        yield service


def answers_of(model: Path) -> list[str]:
    """What the file answers in this process."""
    with closing(Engine(model, GenerationSettings(n_ctx=1024))) as engine:
        prompts = [engine.chat_prompt(build_messages(question)) for question in QUESTIONS]
        return [done.text for done in engine.generate(prompts, SamplingParams(max_tokens=TOKENS))]


def ask(service: Service, model: str, question: str) -> str:
    answer = service.client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], temperature=0, max_tokens=TOKENS
    )
    return answer.choices[0].message.content or ""


def test_each_adapter_is_two_models_beside_the_bases(service: Service) -> None:
    names = [model.id for model in service.client.models.list()]
    assert names == ["lectern", "lectern-rag", "tuned", "tuned-rag", "lectern-embedding"]
    assert "tuned, tuned-rag" in service.screen


def test_the_base_with_an_adapter_answers_as_the_merged_model_does_and_alone_as_itself(
    service: Service, work: Path
) -> None:
    merge_adapter(str(work / "model"), work / "adapter", work / "merged")
    write_gguf(work / "merged", work / "merged.gguf")
    expected = {"tuned": answers_of(work / "merged.gguf"), "lectern": answers_of(work / "f16.gguf")}
    asked = [(model, place) for _ in range(3) for model in expected for place in range(len(QUESTIONS))]
    with ThreadPoolExecutor(6) as pool:  # both models at once, several requests of each
        answers = list(pool.map(lambda pair: ask(service, pair[0], QUESTIONS[pair[1]]), asked))
    assert answers == [expected[model][place] for model, place in asked]
    assert expected["tuned"] != expected["lectern"]


def test_an_adapter_reads_passages_streams_and_goes_on_with_prompts(service: Service) -> None:
    create = service.client.chat.completions.create
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTIONS[0]}]
    found = create(model="tuned-rag", messages=messages, extra_body={"retrieval": {"trace": True}})
    assert found.trace[0]["source"] == "raft.md"
    parts = create(model="tuned", messages=messages, stream=True, temperature=0, max_tokens=TOKENS)
    assert "".join(part.choices[0].delta.content or "" for part in parts) == ask(service, "tuned", QUESTIONS[0])
    texts = {
        service.client.completions.create(model=model, prompt=PROMPT, max_tokens=12, temperature=0).choices[0].text
        for model in ("tuned", "lectern")
    }
    assert len(texts) == 2


def test_the_slots_of_an_adapter_that_was_asked_count_too(service: Service) -> None:
    ask(service, "tuned", QUESTIONS[0])
    assert "lectern_slots 16.0" in httpx.get(f"{service.url}/metrics").text.splitlines()

"""The vLLM teacher: a real engine on the CPU with a tiny random model, started once; and what is found before that."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import ray
from rich.console import Console

from jobs.progress import Progress
from jobs.ray_session import ray_session
from jobs.teaching.engine import ask_engine, count_tokens
from jobs.teaching.engine_checks import require_model, require_resources
from qa_core.config import VllmTeacher
from qa_core.dataset.prompts import build_request
from qa_core.dataset.reply_log import ReplyLog
from qa_core.dataset.requests import Request, Source
from qa_core.errors import UserError
from qa_core.schemas import REQUESTS
from tests.integration.tiny_teacher import TEXTS, build_tiny_teacher

pytestmark = [
    pytest.mark.ray,
    pytest.mark.proof,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: make teacher"),
]

CONTEXT, BATCH = 2048, 4


def teacher_in(folder: Path, **settings: Any) -> VllmTeacher:
    return VllmTeacher.model_validate(
        {
            "engine": "vllm",
            "model_source": str(folder),
            "max_model_len": CONTEXT,
            "max_tokens": 400,
            "engine_kwargs": {"enforce_eager": True},
            "compute": {
                "batch_size": BATCH,
                "max_concurrent_batches": 2,
                "placement_group_config": {"bundles": [{"CPU": 1}]},
                "env_vars": {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"},
            },
            **settings,
        }
    )


def request(teacher: VllmTeacher, paper: int, kind: Any, repeats: int = 1) -> Request:
    source = Source(f"c{paper}", f"d{paper}", f"Paper {paper}", "prose", "1 Method", 0, " ".join(TEXTS * repeats))
    identity = teacher.model_dump(mode="json", exclude={"compute"})
    return build_request(kind, [source], teacher=identity, num_questions=1)


@dataclass(frozen=True)
class Asked:
    requests: list[Request]
    too_long: Request
    refused: Request
    log: ReplyLog
    counted: int

    @property
    def replies(self) -> dict[str, dict[str, Any]]:
        return self.log.read()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_teacher(tmp_path_factory.mktemp("teacher"), max_position_embeddings=4096)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with ray_session():
        yield


@pytest.fixture(scope="module")
def asked(cluster: None, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Twelve requests, of which one is too long for the model and one has a schema that no engine takes."""
    teacher = teacher_in(model)
    requests = [request(teacher, paper, kind) for paper in range(5) for kind in ("factual", "numeric")]
    too_long = request(teacher, 5, "factual", repeats=40)
    refused = replace(request(teacher, 6, "factual"), response_schema="{")
    requests[2:2] = [refused, too_long]
    log = ReplyLog(str(tmp_path_factory.mktemp("run") / "replies"))
    return Asked(requests, too_long, refused, log, counted=ask(requests, teacher, log))


def ask(requests: list[Request], teacher: VllmTeacher, log: ReplyLog) -> int:
    """Ask them; returns how many the progress display heard of."""
    table = pa.Table.from_pylist([one.to_row() for one in requests], schema=REQUESTS)
    with Progress(Console(file=io.StringIO()), "teaching").track("replies", len(requests)) as counter:
        ask_engine(ray.data.from_arrow(table), teacher, log, counter, seed=13)
        return int(ray.get(counter.actor.read.remote(0))[0])


def test_every_request_has_exactly_one_reply(asked: Asked) -> None:
    lines = [line for file in Path(asked.log.uri).glob("*.jsonl") for line in file.read_text().splitlines()]
    assert sorted(json.loads(line)["request_id"] for line in lines) == sorted(one.request_id for one in asked.requests)
    assert asked.counted == len(asked.requests)


def test_a_reply_is_json_of_the_schema_or_says_why_not(asked: Asked) -> None:
    whole = 0
    for one in asked.requests:
        reply = asked.replies[one.request_id]
        if reply["error"]:
            assert reply["error"].partition(": ")[0] in ("cut_off", "context_overflow", "engine_error")
            continue
        whole += 1
        # A random model writes raw control characters into strings, which xgrammar lets pass.
        jsonschema.validate(json.loads(reply["text"], strict=False), json.loads(one.response_schema))
        assert reply["prompt_tokens"] > 0
        assert reply["completion_tokens"] > 0
        assert reply["seconds"] > 0
    assert whole > 0


def test_a_request_beyond_the_context_is_told_apart_and_stops_no_other(asked: Asked) -> None:
    reply = asked.replies[asked.too_long.request_id]
    assert reply["error"].startswith("context_overflow: ")
    assert reply["prompt_tokens"] > CONTEXT
    assert [one for one in asked.replies.values() if one["error"].startswith("context_overflow")] == [reply]


def test_a_request_that_the_engine_refuses_stops_none_of_its_batch(asked: Asked) -> None:
    assert asked.replies[asked.refused.request_id]["error"].startswith("engine_error: ")
    neighbours = [asked.replies[one.request_id] for one in asked.requests[:2]]
    assert all(reply["text"] for reply in neighbours)


def test_requests_that_are_all_too_long_start_no_engine(cluster: None, model: Path, tmp_path: Path) -> None:
    teacher = teacher_in(model, max_model_len=512, engine_kwargs={"max_num_seqs": -5})  # with which none could start
    requests = [request(teacher, paper, "factual") for paper in range(2)]
    log = ReplyLog(str(tmp_path / "replies"))
    assert ask(requests, teacher, log) == 2
    assert {reply["error"].partition(": ")[0] for reply in log.read().values()} == {"context_overflow"}


def test_the_planner_counts_tokens_as_the_engine_does(asked: Asked, model: Path) -> None:
    count = count_tokens(teacher_in(model))
    for one in asked.requests:
        marks = asked.replies[one.request_id]["prompt_tokens"] - sum(count(m["content"]) for m in one.messages)
        assert 0 < marks <= 32  # what qa_core.dataset.prompts.fit leaves for them


def test_a_missing_folder_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model_source=.*nowhere"):
        require_model(teacher_in(tmp_path / "nowhere"))


def test_a_model_without_chat_template_is_told_before_anything_starts(model: Path, tmp_path: Path) -> None:
    plain = Path(shutil.copytree(model, tmp_path / "plain"))
    (plain / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="no chat template"):
        require_model(teacher_in(plain))


def test_a_template_without_a_system_turn_is_told_before_anything_starts(model: Path, tmp_path: Path) -> None:
    strict = Path(shutil.copytree(model, tmp_path / "strict"))
    refusal = "{{ raise_exception('System role not supported') }}"
    (strict / "chat_template.jinja").write_text(refusal)
    with pytest.raises(UserError, match="System role not supported"):
        require_model(teacher_in(strict))


def test_a_context_longer_than_the_model_takes_is_told_before_anything_starts(model: Path) -> None:
    with pytest.raises(UserError, match="takes at most 4096 tokens"):
        require_model(teacher_in(model, max_model_len=8192))


def test_an_installation_without_vllm_is_told_with_the_remedy(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.teaching.engine_checks.find_spec", lambda name: None)
    with pytest.raises(UserError, match="make teacher"):
        require_model(teacher_in(model))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tensor_parallel_size": 2, "compute": {"concurrency": 2}}, "needs 4 GPU, and the cluster has 1"),
        ({"compute": {"placement_group_config": {"bundles": [{"CPU": 8}]}}}, "needs 8.5 CPU, and the cluster has 8"),
        ({"compute": {"accelerator_type": "H100"}}, "no accelerator of type H100"),
    ],
)
def test_what_the_cluster_lacks_is_told_with_both_numbers(model: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        require_resources(teacher_in(model, **settings), {"CPU": 8.0, "GPU": 1.0, "accelerator_type:A100": 1.0})

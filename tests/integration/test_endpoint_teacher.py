"""The endpoint teacher on a real Ray, against the stub endpoint in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

from benchmarks.stub_process import Stub
from benchmarks.teacher import request
from jobs.progress import Progress
from jobs.ray_session import ray_session
from jobs.teaching.endpoint import ask_endpoint
from qa_core.config.teachers import EndpointTeacher
from qa_core.dataset.reply_log import Reply, ReplyLog
from qa_core.errors import UserError
from qa_core.schemas import REQUESTS

pytestmark = pytest.mark.ray

COUNT = 120


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[None]:
    with ray_session():
        yield


def ask(url: str, folder: Path, count: int = COUNT, **compute: Any) -> dict[str, Reply]:
    """Every reply in the log after ``count`` requests, which come in three blocks."""
    import ray

    rows = [request(number).to_row() for number in range(count)]
    blocks = [pa.Table.from_pylist(rows[part::3], schema=REQUESTS) for part in range(3)]
    settings = {"base_url": f"{url}/v1", "max_in_flight": 16, "max_backoff_s": 0.1, "batch_size": 8, **compute}
    teacher = EndpointTeacher(engine="openai", model="stub-chat", compute=settings)
    log = ReplyLog(str(folder))
    with Progress(Console(quiet=True), "").track("requests", count) as counter:
        ask_endpoint(ray.data.from_arrow(blocks), teacher, log, counter)
        while ray.get(counter.actor.read.remote(0))[0] < count:
            time.sleep(0.05)  # counts are on their way; without them the test runs into its timeout
    return log.read()


def test_every_request_is_answered_once_and_those_that_are_answered_are_not_asked_again(tmp_path: Path) -> None:
    with Stub("--median", "0.02") as stub:
        replies = ask(stub.url, tmp_path)
        assert len(replies) == COUNT
        assert all(not reply["error"] and reply["text"] for reply in replies.values())
        assert stub.stats()["max_concurrency"] <= 16
        assert len(stub.stats()["calls"]) == COUNT
        assert ask(stub.url, tmp_path, COUNT + 10).keys() > replies.keys()
        assert len(stub.stats()["calls"]) == COUNT + 10


def test_every_failure_that_the_endpoint_makes_is_accounted_for(tmp_path: Path) -> None:
    with Stub("--median", "0.02", "--failures", "0.3", "--hang", "30") as stub:
        replies = list(ask(stub.url, tmp_path, timeout_s=1.0).values())
        made = stub.stats()["failures"]
    told = [tried.partition(":")[0] for reply in replies for tried in [*reply["failed_tries"], reply["error"]] if tried]
    assert len(replies) == COUNT
    assert {reason: told.count(reason) for reason in set(told)} == {
        "rate_limited": made["rate_limited"], "server_error": made["server_error"], "timeout": made["timeout"],
        "connection_lost": made["cut_stream"], "empty_reply": made["empty"],
    }  # fmt: skip


def test_a_budget_holds_over_several_runs_of_the_same_log(tmp_path: Path) -> None:
    with Stub("--median", "0.02") as stub:
        first = ask(stub.url, tmp_path, 30, budget_tokens=20_000)
        answered = [reply for reply in first.values() if not reply["error"]]
        assert 0 < len(answered) < 30
        assert {reply["error"].partition(":")[0] for reply in first.values() if reply["error"]} == {"budget_spent"}
        asked = len(stub.stats()["calls"])
        assert asked == len(answered)
        ask(stub.url, tmp_path, 30, budget_tokens=20_000)
        assert len(stub.stats()["calls"]) == asked
        more = ask(stub.url, tmp_path, 30, budget_tokens=200_000)
        assert all(not reply["error"] for reply in more.values())
        assert len(stub.stats()["calls"]) == 30


def test_an_endpoint_that_is_down_is_a_users_mistake_and_no_row(tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(Stub()).url
    with pytest.raises(UserError, match="endpoint_unreachable"):
        ask(url, tmp_path)
    assert ReplyLog(str(tmp_path)).read() == {}

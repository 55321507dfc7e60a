"""Rows on a real Ray: every proposal accounted for, quotas that count accepted rows, and nothing asked twice."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.stub_process import Stub
from jobs.generate_qa import dry_run
from jobs.pipeline import run_stage, stage_context
from jobs.plan import make_plan
from jobs.ray_session import ray_session
from jobs.replay import plan_replay
from jobs.stages import STAGES
from qa_core.artifacts import RunStore
from qa_core.config import LecternConfig
from qa_core.config_loader import apply, load_config
from qa_core.dataset.funnel import YieldTooLow
from qa_core.dataset.reviews import Decision, append_decision
from qa_core.errors import UserError

pytestmark = [pytest.mark.ray, pytest.mark.proof]

PAPERS = Path(__file__).parents[2] / "examples" / "papers"
QUIET = Console(quiet=True)
FEW = {
    "generate_qa.quotas": {
        "factual": 6, "analytical": 6, "comparative": 2, "hypothetical": 4, "definition": 4, "procedure": 2,
        "numeric": 4, "unanswerable": 3,
    },
    "generate_qa.min_rows": 10, "generate_qa.max_rounds": 1,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[None]:
    with ray_session():
        yield


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that rows are made from: the beginnings of six of the bundled papers."""
    papers, storage = tmp_path_factory.mktemp("papers"), tmp_path_factory.mktemp("runs")
    for paper in sorted(PAPERS.glob("*.md"))[:6]:
        (papers / paper.name).write_text(paper.read_text()[:7000].rpartition("\n\n")[0] + "\n")
    settings = {"run.storage": str(storage), "chunk.papers": str(papers)}
    config = apply(load_config(["tiny"]), settings)
    for name in ("base-model", "chunk", "index"):
        make(config, name)
    return storage


def make(config: LecternConfig, name: str) -> dict[str, Any]:
    """Run one stage, whatever is there; returns its metrics."""
    store = RunStore.open(config.run.storage, config.run.name)
    (planned,) = make_plan(config, store, [STAGES[name]], force=True)
    outcome, _ = run_stage(config, store, planned, QUIET, is_local=True)
    return dict(outcome.metrics)


def config_of(indexed: Path, tmp_path: Path, **settings: Any) -> LecternConfig:
    """A config over a copy of the run; dots in the names of settings are written as two underscores."""
    shutil.copytree(indexed, tmp_path / "runs")
    papers = {"run.storage": str(tmp_path / "runs")}
    return apply(
        load_config(["tiny"]), {**papers, **FEW, **{key.replace("__", "."): settings[key] for key in settings}}
    )


@pytest.fixture(scope="module")
def made(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[LecternConfig, dict[str, Any]]:
    """A finished run of the template teacher, and the stage's metrics."""
    config = config_of(indexed, tmp_path_factory.mktemp("made"))
    return config, make(config, "generate-qa")


def rows(config: LecternConfig, table: str = "qa") -> list[dict[str, Any]]:
    return RunStore.open(config.run.storage, config.run.name).artifact(table).read_table().to_pylist()


def files(config: LecternConfig) -> dict[str, bytes]:
    folder = Path(config.run.storage, config.run.name)
    return {path.name: path.read_bytes() for path in sorted(folder.glob("qa*/*")) if path.name != "manifest.json"}


def endpoint(stub: Stub, **more: Any) -> dict[str, Any]:
    compute = {"base_url": f"{stub.url}/v1", "max_backoff_s": 0.1, **more}
    return {"engine": "openai", "model": "stub-chat", "context_tokens": 4096, "max_tokens": 512, "compute": compute}


def test_any_number_of_workers_and_any_batch_size_makes_the_same_data_set(indexed: Path, tmp_path: Path) -> None:
    made = []
    for workers, batch_size in ((1, 64), (2, 7)):
        compute = {"num_workers": workers, "batch_size": batch_size, "cpus_per_worker": 0.5}
        config = config_of(
            indexed, tmp_path / str(workers), generate_qa__compute=compute,
            generate_qa__teacher={"engine": "template", "compute": compute},
        )  # fmt: skip
        make(config, "generate-qa")
        made.append(files(config))
    assert len(made[0]) == 5  # three splits, the card, the rejected rows
    assert made[0] == made[1]


def test_quotas_are_met_every_proposal_is_accounted_for_and_splits_do_not_mix(
    made: tuple[LecternConfig, dict[str, Any]],
) -> None:
    config, metrics = made
    kept, dropped = rows(config), rows(config, "qa_rejected")
    quotas = config.generate_qa.quotas.by_type
    of_type = Counter(row["question_type"] for row in kept)
    assert all(of_type[kind] <= quota for kind, quota in quotas.items())
    assert [of_type[kind] for kind in ("factual", "analytical", "definition")] == [6, 6, 4]
    counts = metrics["counts"]
    assert counts["overall"]["proposed"] == len(kept) + len(dropped)
    assert counts["overall"]["review"] == len(kept) == len({row["qa_id"] for row in kept})
    assert all(row["stage"] in counts["overall"] and row["reason"] for row in dropped)

    chunks = {row["chunk_id"]: row for row in rows(config, "chunks")}
    split_of = {row["doc_id"]: row["split"] for row in kept}
    assert set(split_of.values()) == {"train", "validation", "test"}
    for row in kept:
        assert row["split"] == split_of[row["doc_id"]]
        for span in row["evidence"]:
            chunk = chunks[span["chunk_id"]]
            start = span["start_char"] - chunk["start_char"]
            assert chunk["text"][start : start + len(span["text"])] == span["text"]
        shown = {chunks[chunk_id]["doc_id"] for chunk_id in row["context_chunk_ids"]}
        if row["split"] == "train":
            assert all(split_of.get(paper, "train") == "train" for paper in shown)
        assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]


def test_too_small_a_yield_fails_with_the_reasons(indexed: Path, tmp_path: Path) -> None:
    config = config_of(indexed, tmp_path, generate_qa__min_rows=5000)
    with pytest.raises(YieldTooLow, match=r"rows were accepted, min_rows is 5000 \(rejected: .*over_quota"):
        make(config, "generate-qa")


def test_a_language_models_replies_are_paid_for_once(indexed: Path, tmp_path: Path) -> None:
    with Stub("--median", "0.01") as stub:
        config = config_of(indexed, tmp_path, generate_qa__teacher=endpoint(stub))
        first = make(config, "generate-qa")
        before, asked = files(config), len(stub.stats()["calls"])
        assert first["actual"]["requests"] == asked > 0
        assert {row["teacher"] for row in rows(config)} == {"openai:stub-chat"}
        make(config, "generate-qa")
        assert len(stub.stats()["calls"]) == asked
        assert files(config) == before
        more = apply(config, {"generate_qa.quotas.factual": 40})
        make(more, "generate-qa")
        assert Counter(row["question_type"] for row in rows(more))["factual"] > 6
        assert asked < len(stub.stats()["calls"]) < 2 * asked


def test_a_dry_run_says_what_the_rows_will_cost_and_the_run_compares(indexed: Path, tmp_path: Path) -> None:
    with Stub("--median", "0.01") as stub:
        price = {"input_per_million": 1.0, "output_per_million": 2.0}
        config = config_of(indexed, tmp_path, generate_qa__teacher=endpoint(stub, price=price))
        store = RunStore.open(config.run.storage, config.run.name)
        (planned,) = make_plan(config, store, [STAGES["generate-qa"]], force=True)
        cost, sample = dry_run(stage_context(config, store, planned, QUIET))
        sent = len(stub.stats()["calls"])
        assert sample.requests == sent <= 12
        assert cost.money > 0
        metrics = make(config, "generate-qa")
        assert metrics["predicted"]["requests"] == cost.requests
        assert 0.3 < metrics["actual"]["requests"] / cost.requests < 3
        assert 0.3 < metrics["actual"]["money"] / cost.money < 3
        assert len(stub.stats()["calls"]) == metrics["actual"]["requests"]  # the sample was not asked again


def test_a_spent_budget_stops_the_stage_and_a_larger_one_goes_on_from_there(indexed: Path, tmp_path: Path) -> None:
    with Stub("--median", "0.01") as stub:
        teacher = endpoint(stub, budget_tokens=6_000, max_in_flight=2)
        config = config_of(indexed, tmp_path, generate_qa__teacher=teacher)
        with pytest.raises(UserError, match=r"the budget is spent with \d+ of 31 rows accepted; every reply is kept"):
            make(config, "generate-qa")
        paid = len(stub.stats()["calls"])
        assert paid > 0
        metrics = make(apply(config, {"generate_qa.teacher.compute.budget_tokens": 2_000_000}), "generate-qa")
        assert metrics["actual"]["requests"] == len(stub.stats()["calls"]) > paid


def test_a_replay_asks_for_what_was_rejected_and_for_nothing_else(indexed: Path, tmp_path: Path) -> None:
    with Stub("--median", "0.01", "--failures", "0.4") as stub:
        teacher = endpoint(stub, max_retries=0, timeout_s=2)
        config = config_of(indexed, tmp_path, generate_qa__teacher=teacher, generate_qa__min_rows=3)
        make(config, "generate-qa")
        store = RunStore.open(config.run.storage, config.run.name)
        sound = {"duplicate", "quota", "review"}
        faulty = [
            row for row in rows(config, "qa_rejected") if row["stage"] not in sound and row["reason"] != "no_pairs"
        ]
        requests = {row["request_id"] for row in faulty}
        kept = {row["qa_id"] for row in rows(config)}
        asked = len(stub.stats()["calls"])
        assert requests
        plan_replay(config, store, QUIET)
        make(config, "generate-qa")
        again = len(stub.stats()["calls"]) - asked
        assert again == len(requests)
        assert {row["qa_id"] for row in rows(config)} & kept
        assert {row["attempt"] for row in rows(config, "qa_rejected")} >= {0, 1}


def test_rules_have_nothing_to_replay(made: tuple[LecternConfig, dict[str, Any]]) -> None:
    config, _ = made
    with pytest.raises(UserError, match="same reply"):
        plan_replay(config, RunStore.open(config.run.storage, config.run.name), QUIET)


def test_what_a_person_decided_holds_in_the_next_run(made: tuple[LecternConfig, dict[str, Any]]) -> None:
    config, _ = made
    store = RunStore.open(config.run.storage, config.run.name)
    good, bad, wrong = [row for row in rows(config) if not row["context_chunk_ids"]][:3]
    append_decision(store, Decision(qa_id=good["qa_id"], decision="accept"))
    append_decision(store, Decision(qa_id=bad["qa_id"], decision="reject", note="trivial"))
    append_decision(
        store, Decision(qa_id=wrong["qa_id"], decision="edit", question="Who edited this?", answer="A person.")
    )
    make(config, "generate-qa")
    after = {row["qa_id"]: row for row in rows(config)}
    assert after[good["qa_id"]]["review"] == "accepted"
    assert after[wrong["qa_id"]]["messages"][-1]["content"].startswith("A person")
    assert bad["qa_id"] not in after
    assert [row["detail"] for row in rows(config, "qa_rejected") if row["stage"] == "review"] == ["trivial"]

"""The whole tiny config on local Ray, on three tiny papers: made, skipped, killed, stopped and resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from jobs.stages import PIPELINE
from qa_core.artifacts import RunStore
from tests.integration.commands import finish, lectern, small_settings

pytestmark = pytest.mark.ray

ARTIFACTS = [name for stage in PIPELINE for name in stage.outputs]


def content_hashes(run: Path) -> dict[str, str]:
    store = RunStore.open(str(run.parent), run.name)
    manifests = {name: store.artifact(name).manifest() for name in ARTIFACTS}
    return {name: manifest.content_hash for name, manifest in manifests.items() if manifest}


def test_every_stage_leaves_a_complete_artifact_that_verifies(finished_run: tuple[Path, list[str]]) -> None:
    run, _ = finished_run
    store = RunStore.open(str(run.parent), run.name)
    for name in ARTIFACTS:
        manifest = store.artifact(name).manifest()
        assert manifest is not None, name
        store.artifact(name).verify(manifest)
    assert not any((run / ".staging").iterdir())


def test_rows_evidence_and_predictions_hold_together(finished_run: tuple[Path, list[str]]) -> None:
    run, _ = finished_run
    store = RunStore.open(str(run.parent), run.name)
    chunks = {row["chunk_id"]: row for row in store.artifact("chunks").read_table().to_pylist()}
    rows = store.artifact("qa").read_table().to_pylist()
    assert {row["question_type"] for row in rows} == {"analytical", "hypothetical", "numeric"}
    split_of = {(row["doc_id"], row["split"]) for row in rows}
    assert len(split_of) == len({doc for doc, _ in split_of}) == 3  # no paper is in two splits
    for row in rows:
        for evidence in row["evidence"]:
            chunk = chunks[evidence["chunk_id"]]
            start = evidence["start_char"] - chunk["start_char"]
            assert chunk["text"][start : start + len(evidence["text"])] == evidence["text"]
    predictions = store.artifact("eval").read_table().to_pylist()
    test_rows = {row["qa_id"] for row in rows if row["split"] == "test"}
    assert {row["mode"] for row in predictions} == {"standalone", "rag"}
    assert {row["qa_id"] for row in predictions} <= test_rows
    assert all(row["retrieved_chunk_ids"] for row in predictions if row["mode"] == "rag")


def test_a_second_run_skips_everything_without_starting_ray(finished_run: tuple[Path, list[str]]) -> None:
    run, settings = finished_run
    before = content_hashes(run)
    output = finish(lectern("run", "--config", "tiny", *settings), timeout=60)
    assert output.count("unchanged, skipped") == len(PIPELINE)
    assert "Ray is up" not in output
    assert content_hashes(run) == before


def test_a_run_killed_in_training_and_stopped_later_ends_with_the_same_bytes(
    finished_run: tuple[Path, list[str]], three_papers: Path, tmp_path: Path
) -> None:
    reference, _ = finished_run
    settings = small_settings(three_papers, tmp_path)
    run = tmp_path / "tiny"

    process = lectern("run", "--config", "tiny", *settings)
    wait_for(lambda: any(run.glob(".scratch/finetune-*/**/checkpoint*")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (run / "adapter").exists()

    process = lectern("run", "--config", "tiny", *settings)
    wait_for(lambda: (run / "adapter" / "manifest.json").exists(), process)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - started < 10, output
    assert process.returncode == 130, output
    assert "goes on from here" in output
    assert "2 workers, about 0." in output
    assert "GiB each (base model " in output
    assert "6 steps over " in output
    assert "Traceback" not in output

    output = finish(lectern("run", "--config", "tiny", *settings))
    assert re.search(r"retrieval adds +\S+ +F1 points +95% interval", output), output
    assert content_hashes(run) == content_hashes(reference)


def test_metrics_are_measured_with_and_without_retrieval(finished_run: tuple[Path, list[str]]) -> None:
    run, _ = finished_run
    metrics = json.loads((run / "eval" / "metrics.json").read_text())
    text = json.dumps(metrics)
    for name in ("standalone", "rag", "rougeL", "bleu", "exact_match", "f1"):
        assert name in text
    assert (run / "eval" / "report.html").read_text().lstrip().lower().startswith("<!doctype html")


def wait_for(condition, process, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            pytest.fail(f"the command ended early:\n{process.communicate()[0]}")
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)

"""A sweep on the finished run: real trials, and a best.yaml that goes back in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qa_core.artifacts import RunStore
from qa_core.config_loader import load_config
from tests.integration.commands import finish, lectern

pytestmark = pytest.mark.ray


def test_a_sweep_reports_every_trial_and_its_best_goes_back_in(finished_run: tuple[Path, list[str]]) -> None:
    run, settings = finished_run
    settings = [*settings, "tune.num_samples=2", "tune.max_steps=2", "tune.eval_steps=1"]
    settings += ["tune.answer_rows=2", "tune.answer_tokens=4"]
    finish(lectern("tune", "--config", "tiny", *settings))
    trials = RunStore.open(str(run.parent), run.name).artifact("sweep").read_table().to_pylist()
    assert len(trials) == 2
    finished = [trial for trial in trials if trial["status"] == "finished"]
    assert all((trial["answer_f1"] is None) is (trial not in finished) for trial in trials)
    best = max(finished, key=lambda trial: (trial["answer_f1"], -trial["eval_loss"]))
    config = load_config(["tiny", str(run / "sweep" / "best.yaml")], settings)
    for key, value in json.loads(best["parameters"]).items():
        found = config.model_dump()
        for part in key.split("."):
            found = found[part]
        assert found == value

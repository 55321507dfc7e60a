"""A sweep's study: it learns from scores, and a kill loses no trial."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from jobs.trials import SweepStudy, TrialFiles
from qa_core.config import SearchDimension, TuneSettings

SPACE = {
    "finetune.learning_rate": SearchDimension(distribution="loguniform", low=1e-5, high=1e-1),
    "finetune.lora.target_modules": SearchDimension(distribution="choice", values=(["q_proj"], ["q_proj", "v_proj"])),
}


def study(folder: Path, **values: Any) -> SweepStudy:
    settings = TuneSettings.model_validate({"num_samples": 30, "search_space": SPACE} | values)
    return SweepStudy(settings, 3, TrialFiles(str(folder)))


def score(parameters: dict[str, Any]) -> float:
    """Best at a rate of 1e-3."""
    return -abs(math.log10(parameters["finetune.learning_rate"]) + 3)


BLIND = -1.0
"""What draws without learning score on average."""


def searched(found: SweepStudy, trials: int = 30) -> list[dict[str, Any]]:
    drawn = []
    for number in range(trials):
        drawn.append(found.draw(number))
        found.tell(number, score(drawn[-1]), {10: 1.0})
    return drawn


def test_a_choice_may_be_a_list(tmp_path: Path) -> None:
    assert {tuple(draw["finetune.lora.target_modules"]) for draw in searched(study(tmp_path), 8)} == {
        ("q_proj",), ("q_proj", "v_proj"),
    }  # fmt: skip


def test_tpe_draws_near_what_scored_well(tmp_path: Path) -> None:
    later = searched(study(tmp_path))[10:]
    assert fmean(map(score, later)) > 0.8 * BLIND


@pytest.mark.parametrize("searcher", ["tpe", "random"])
def test_the_seed_decides_the_trials(tmp_path: Path, searcher: str) -> None:
    again = [searched(study(tmp_path / name, searcher=searcher), 12) for name in ("one", "other")]
    assert again[0] == again[1]


def test_a_sweep_that_is_run_again_tries_the_trials_it_had_and_goes_on_as_it_would_have(tmp_path: Path) -> None:
    whole = searched(study(tmp_path / "whole"), 20)
    killed = study(tmp_path / "killed")
    searched(killed, 12)
    killed.draw(12)  # under way when the kill came
    assert searched(study(tmp_path / "killed"), 20) == whole


def test_stopped_and_failed_trials_are_told_without_a_score(tmp_path: Path) -> None:
    found = study(tmp_path)
    found.draw(0)
    found.tell(0, None, {4: 2.0, 8: 1.9})
    found.draw(1)
    found.tell(1, None, {})
    found.draw(2)
    found.tell(2, 0.5, {4: 1.0})
    assert [trial.state.name for trial in found._study.trials] == ["PRUNED", "FAIL", "COMPLETE"]
    assert found._study.best_value == 0.5


def test_a_trial_that_drew_what_another_did_reports_what_that_one_reported(tmp_path: Path) -> None:
    files = TrialFiles(str(tmp_path))
    for number, rate in enumerate((1e-4, 2e-4, 1e-4, 1e-4)):
        files.write(f"{number:03d}-drawn", {"finetune.learning_rate": rate})
    assert files.outcome(2) is None
    files.write("000-done", [{"eval_loss": 2.0}])
    assert files.outcome(2) == [{"eval_loss": 2.0}]
    assert files.outcome(1) is None
    files.write("003-done", [{"eval_loss": 2.5}])
    assert files.outcome(3) == [{"eval_loss": 2.5}]


def test_a_sweep_says_what_it_knows_from_before(tmp_path: Path) -> None:
    files = TrialFiles(str(tmp_path))
    assert files.known(4) == ""
    killed = study(tmp_path)
    for number in range(3):
        killed.draw(number)
    files.write("000-done", [])
    assert files.known(4) == "goes on: of 4 trials 3 are known, 1 of them to their end"


def test_half_a_file_counts_as_none(tmp_path: Path) -> None:
    files = TrialFiles(str(tmp_path))
    files.write("000-drawn", {"a": 1})
    assert files.read("000-drawn") == {"a": 1}
    (tmp_path / "000-drawn.json").write_text('{"a"')
    assert files.read("000-drawn") is None
    assert files.read("001-drawn") is None

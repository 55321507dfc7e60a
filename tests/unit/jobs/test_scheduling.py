"""A trial is stopped by the loss of trials that are shown the same, and by no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from jobs.scheduling import make_scheduler
from qa_core.config import TuneSettings

SETTINGS = TuneSettings(max_steps=8, eval_steps=2, grace_period=1, reduction_factor=2)


def actions(*trials: tuple[dict[str, Any], float]) -> list[str]:
    """What happens to each trial, with its parameters and its first loss, when they report one after the other."""
    scheduler: Any = make_scheduler(SETTINGS)
    found = []
    for number, (parameters, loss) in enumerate(trials):
        trial: Any = SimpleNamespace(trial_id=str(number), config={"trial": {"parameters": parameters}})
        scheduler.on_trial_add(None, trial)
        found.append(scheduler.on_trial_result(None, trial, {"training_iteration": 1, "eval_loss": loss}))
    return found


def test_of_trials_that_are_shown_the_same_the_worse_one_is_stopped() -> None:
    good, bad = {"finetune.learning_rate": 1e-4}, {"finetune.learning_rate": 1.0}
    assert actions((good, 2.0), (bad, 3.0)) == ["CONTINUE", "STOP"]
    shown = {"retrieval.top_k": 3}
    assert actions((good | shown, 2.0), (bad | shown, 3.0)) == ["CONTINUE", "STOP"]


def test_a_loss_on_other_passages_stops_no_trial() -> None:
    small, large = {"chunk.max_tokens": 96}, {"chunk.max_tokens": 128}
    assert actions((large, 2.0), (small, 3.0), (large, 2.5)) == ["CONTINUE", "CONTINUE", "STOP"]

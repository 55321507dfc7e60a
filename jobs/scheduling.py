"""When a sweep stops a trial early: ASHA (Li et al., 2018, arXiv:1810.05934) by validation loss, like with like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobs.search_space import most_steps
from qa_core.config import TuneSettings

if TYPE_CHECKING:
    from ray.tune.schedulers import ASHAScheduler, TrialScheduler


def make_scheduler(settings: TuneSettings) -> TrialScheduler:
    """ASHA among the trials that are shown the same.

    In a joint sweep two trials may be shown other passages, and a loss on them says nothing about the other's.
    """
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    reports = -(-most_steps(settings) // settings.eval_steps)

    class LikeWithLike(FIFOScheduler):
        def __init__(self) -> None:
            super().__init__()
            self._groups: dict[str, ASHAScheduler] = {}

        def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
            self._group(trial).on_trial_add(tune_controller, trial)

        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            return self._group(trial).on_trial_result(tune_controller, trial, result)

        def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
            self._group(trial).on_trial_complete(tune_controller, trial, result)

        def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
            self._group(trial).on_trial_remove(tune_controller, trial)

        def _group(self, trial: Any) -> ASHAScheduler:
            drawn = trial.config["trial"]["parameters"]
            shown = json.dumps({key: drawn[key] for key in sorted(drawn) if not key.startswith("finetune.")})
            if shown not in self._groups:
                self._groups[shown] = ASHAScheduler(
                    metric="eval_loss",
                    mode="min",
                    # More than there are, the score included: a trial that runs to its end is left to end by itself.
                    max_t=reports + 2,
                    grace_period=min(settings.grace_period, reports),
                    reduction_factor=settings.reduction_factor,
                )
            return self._groups[shown]

    return LikeWithLike()

"""Stage ``tune``: qa/ + base/ -> sweep/, with Ray Tune's ASHA over the training function of ``finetune``.

Each trial is a small Tune function that starts a Ray Train run of its own ("Train in Tune"). All trials are drawn
before the first starts, so a sweep that is killed and run again has the same trials, and each of them goes on from its
last checkpoint after telling ASHA again what it had told before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from jobs.finetune import PLACEMENT_GROUP, TrainingJob, make_trainer
from jobs.progress import Counter
from jobs.ray_session import interruptible
from jobs.stages import StageContext, StageOutcome
from qa_core.config import LecternConfig, SearchDimension, TuneSettings
from qa_core.config_loader import Tree, apply, merge, nest
from qa_core.errors import UserError
from qa_core.schemas import TRIALS

if TYPE_CHECKING:
    from ray.tune import Callback, Result, Tuner

_OUTER_CPUS = 0.01
"""The Tune function only waits for its Ray Train run."""


def run(context: StageContext) -> StageOutcome:
    """Search and write ``sweep/trials.parquet`` and ``sweep/best.yaml``."""
    config, inputs, settings = context.config, context.inputs, context.config.tune
    draws = draw_trials(config)
    job = TrainingJob(config, inputs["qa"], inputs["base"])
    if "validation" not in job.qa.read_table(["split"])["split"].to_pylist():
        raise UserError("qa/ has no validation rows to compare trials on", "raise generate_qa.splits.validation")
    with context.progress.track("trials", settings.num_samples) as counter:
        results: Any = interruptible(_tuner(job, draws, context.scratch, counter).fit)
    trials = sorted((_row(result, settings) for result in results), key=lambda row: row["trial_id"])
    scored = [row for row in trials if row["eval_loss"] is not None]
    if not scored:
        raise RuntimeError(f"all {len(trials)} trials failed; the first one: {trials[0]['error']}")
    best = min(scored, key=lambda row: (row["eval_loss"], row["trial_id"]))
    with context.outputs["sweep"].staging() as folder:
        pq.write_table(pa.Table.from_pylist(trials, schema=TRIALS), folder / "trials.parquet")
        (folder / "best.yaml").write_text(overlay(best, len(trials)), encoding="utf-8")
    return StageOutcome(
        num_rows={"sweep": len(trials)},
        rejected={},
        metrics={
            "best_trial": best["trial_id"],
            "best_eval_loss": best["eval_loss"],
            "best": json.loads(best["parameters"]),
            "stopped_early": sum(row["status"] == "stopped" for row in trials),
            "failed": sum(row["status"] == "failed" for row in trials),
        },
    )


def draw_trials(config: LecternConfig) -> list[dict[str, Any]]:
    """Dotted parameters of every trial, drawn from the seed and checked against the config's own rules."""
    import numpy as np

    generator = np.random.default_rng(config.run.seed)
    for key in config.tune.search_space:
        if not key.startswith("finetune."):
            raise UserError(f"tune.search_space has {key!r}", "a sweep trains only: search over finetune.* keys")
    domains = {key: _domain(dimension) for key, dimension in sorted(config.tune.search_space.items())}
    draws = [
        {key: _plain(domain.sample(random_state=generator)) for key, domain in domains.items()}
        for _ in range(config.tune.num_samples)
    ]
    for draw in draws:
        trial_config(config, draw)
    return draws


def overlay(best: Mapping[str, Any], num_trials: int) -> str:
    """YAML that holds the searched keys of the best trial and nothing else."""
    tree: Tree = {}
    for key, value in json.loads(best["parameters"]).items():
        tree = merge(tree, nest(key, value))
    loss, steps = best["eval_loss"], best["steps"]
    comment = f"# Trial {best['trial_id']} of {num_trials}: evaluation loss {loss:.4f} after {steps} steps.\n"
    return comment + yaml.safe_dump(tree)


def _domain(dimension: SearchDimension) -> Any:
    from ray import tune

    if dimension.distribution == "choice":
        return tune.choice(list(dimension.values))
    assert dimension.low is not None
    assert dimension.high is not None
    draw = tune.loguniform if dimension.distribution == "loguniform" else tune.uniform
    return draw(dimension.low, dimension.high)


def _plain(value: Any) -> Any:
    """A Python value: YAML and JSON do not know numpy's numbers."""
    return value.item() if hasattr(value, "item") else value


def _tuner(job: TrainingJob, draws: Sequence[Mapping[str, Any]], scratch: str, counter: Counter) -> Tuner:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    settings = job.config.tune
    reports = -(-settings.max_steps // settings.eval_steps)
    scheduler = ASHAScheduler(
        # One report more than there are: a trial that runs to its end is left to end by itself.
        max_t=reports + 1,
        grace_period=min(settings.grace_period, reports),
        reduction_factor=settings.reduction_factor,
    )

    def trial(config: dict[str, Any]) -> None:
        number, draw = config["trial"]["number"], config["trial"]["parameters"]
        _run_trial(replace(job, config=trial_config(job.config, draw)), f"trial-{number:03d}", scratch)

    numbered = [{"number": number, "parameters": draw} for number, draw in enumerate(draws)]
    return tune.Tuner(
        tune.with_resources(trial, {"CPU": _OUTER_CPUS}),
        param_space={"trial": tune.grid_search(numbered)},
        tune_config=tune.TuneConfig(
            metric="eval_loss",
            mode="min",
            scheduler=scheduler,
            max_concurrent_trials=settings.compute.max_concurrent_trials,
        ),
        run_config=tune.RunConfig(name="sweep", storage_path=scratch, verbose=0, callbacks=[_on_trial_end(counter)]),
    )


def trial_config(config: LecternConfig, parameters: Mapping[str, Any]) -> LecternConfig:
    """The config that one trial trains with."""
    length = {"finetune.max_steps": config.tune.max_steps, "finetune.eval_steps": config.tune.eval_steps}
    return apply(config, {**length, **parameters})


def _run_trial(job: TrainingJob, name: str, scratch: str) -> None:
    from ray.tune.integration.ray_train import TuneReportCallback

    result: Any = make_trainer(job, name, scratch, callbacks=[TuneReportCallback()]).fit()
    if isinstance(result.return_value, UserError):
        raise result.return_value


def _on_trial_end(counter: Counter) -> Callback:
    """Counts trials, and frees the workers of those that ASHA stops.

    Ray Train removes its placement group at the end of a run, but the run of a stopped trial never gets there, and the
    next trial would wait for its CPUs for ever.
    """
    from ray import PlacementGroupID
    from ray.tune import Callback
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    class OnTrialEnd(Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            counter.advance()
            name = (trial.last_result or {}).get(PLACEMENT_GROUP)
            if name:
                remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(name))))

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.on_trial_complete(iteration, trials, trial)

    return OnTrialEnd()


def _row(result: Result, settings: TuneSettings) -> dict[str, Any]:
    """A row of ``TRIALS``; the loss is that of the trial's last evaluation."""
    trial, metrics = (result.config or {})["trial"], result.metrics or {}
    steps = int(metrics.get("step", 0))
    finished = "finished" if steps >= settings.max_steps else "stopped"
    return {
        "trial_id": f"{trial['number']:03d}",
        "status": "failed" if result.error else finished,
        "steps": steps,
        "eval_loss": None if result.error else metrics.get("eval_loss"),
        "parameters": json.dumps(trial["parameters"], sort_keys=True),
        "error": str(result.error).strip().splitlines()[-1] if result.error else "",
    }

"""Stage ``tune``: qa/ + base/ -> sweep/, with Ray Tune over the training function of ``finetune``.

Each trial is a small Tune function that starts a Ray Train run of its own ("Train in Tune"). ASHA stops trials by their
validation loss; what the search wants are answers: the token F1 of what the finished candidate says to validation
questions. A sweep that is killed and run again has the same trials, and each of them goes on from its last checkpoint
after telling ASHA again what it had told before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from jobs.candidates import Candidate
from jobs.corpora import Corpus, chunking_key, make_corpora
from jobs.finetune import train
from jobs.progress import Counter
from jobs.ray_session import interruptible
from jobs.scheduling import make_scheduler
from jobs.search_space import check_space, trial_config
from jobs.stages import StageContext, StageOutcome
from jobs.train_worker import PLACEMENT_GROUP, TrainingJob
from jobs.trials import SweepStudy, TrialFiles
from qa_core.config import LecternConfig
from qa_core.config_loader import Tree, merge, nest
from qa_core.errors import UserError
from qa_core.evaluation.sweep_report import write_sweep_report
from qa_core.schemas import TRIALS

if TYPE_CHECKING:
    from ray.tune import Callback, Result, Tuner
    from ray.tune.search import Searcher

_OUTER_CPUS = 0.01
"""The Tune function only waits for its Ray Train run."""


def run(context: StageContext) -> StageOutcome:
    """Search and write ``sweep/trials.parquet``, ``sweep/best.yaml`` and ``sweep/report.html``."""
    config, inputs, settings = context.config, context.inputs, context.config.tune
    check_space(config)
    job = TrainingJob(config, inputs["qa"], inputs["base"], answer_rows=settings.answer_rows)
    rows = job.qa.read_table(["split", "answerable"]).to_pylist()
    if not any(row["split"] == "validation" and (row["answerable"] or not settings.is_joint) for row in rows):
        raise UserError("qa/ has no validation rows to compare trials on", "raise generate_qa.splits.validation")
    corpora = make_corpora(context)
    with context.progress.track("trials", settings.num_samples) as counter:
        if known := TrialFiles(f"{context.scratch}/trials").known(settings.num_samples):
            counter.say(known)
        results: Any = interruptible(_tuner(job, corpora, context.scratch, counter).fit)
    trials = sorted((_row(result) for result in results), key=lambda row: row["trial_id"])
    scored = [row for row in trials if row["answer_f1"] is not None]
    if not scored:
        raise RuntimeError(f"none of {len(trials)} trials finished; the first one: {trials[0]['error']}")
    best = max(scored, key=lambda row: (row["answer_f1"], -row["eval_loss"]))
    with context.outputs["sweep"].staging() as folder:
        pq.write_table(pa.Table.from_pylist(trials, schema=TRIALS), folder / "trials.parquet")
        (folder / "best.yaml").write_text(overlay(best, len(trials)), encoding="utf-8")
        write_sweep_report(trials, best, settings, folder)
    return StageOutcome(
        num_rows={"sweep": len(trials)},
        rejected={},
        metrics={
            "best_trial": best["trial_id"],
            "best_answer_f1": best["answer_f1"],
            "best_eval_loss": best["eval_loss"],
            **({"best_evidence_recall": best["evidence_recall"]} if best["evidence_recall"] is not None else {}),
            "best": json.loads(best["parameters"]),
            "stopped_early": sum(row["status"] == "stopped" for row in trials),
            "failed": sum(row["status"] == "failed" for row in trials),
        },
    )


def overlay(best: Mapping[str, Any], num_trials: int) -> str:
    """YAML that holds the searched keys of the best trial and nothing else."""
    tree: Tree = {}
    for key, value in json.loads(best["parameters"]).items():
        tree = merge(tree, nest(key, value))
    f1, loss, steps = best["answer_f1"], best["eval_loss"], best["steps"]
    measured = f"token F1 of its answers {f1:.4f}, validation loss {loss:.4f} after {steps} steps"
    note = "# Its questions were those of the run; a run with other chunks asks its own.\n" if "chunk" in tree else ""
    return f"# Trial {best['trial_id']} of {num_trials}: {measured}.\n{note}{yaml.safe_dump(tree)}"


def _tuner(job: TrainingJob, corpora: Mapping[str, Corpus], scratch: str, counter: Counter) -> Tuner:
    from ray import tune

    settings = job.config.tune

    def trial(config: dict[str, Any]) -> None:
        number, draw = config["trial"]["number"], config["trial"]["parameters"]
        drawn = trial_config(job.config, draw)
        corpus = corpora.get(chunking_key(drawn.chunk))
        candidate = Candidate(drawn, job.qa, corpus) if corpus else None
        _run_trial(replace(job, config=drawn, candidate=candidate), f"{number:03d}", scratch)

    return tune.Tuner(
        tune.with_resources(trial, {"CPU": _OUTER_CPUS}),
        tune_config=tune.TuneConfig(
            num_samples=settings.num_samples,
            search_alg=_searcher(job.config, scratch),
            scheduler=make_scheduler(settings),
            max_concurrent_trials=settings.compute.max_concurrent_trials,
        ),
        run_config=tune.RunConfig(name="sweep", storage_path=scratch, verbose=0, callbacks=[_on_trial_end(counter)]),
    )


def _run_trial(job: TrainingJob, number: str, scratch: str) -> None:
    """Train, or tell what an earlier run of the sweep found out; the score is the last report."""
    from ray import tune
    from ray.tune.integration.ray_train import TuneReportCallback

    files = TrialFiles(f"{scratch}/trials")
    told = files.outcome(int(number))
    if told is None:
        outcome: StageOutcome = train(job, f"trial-{number}", scratch, callbacks=[TuneReportCallback()])
        told = outcome.metrics["evaluations"]
        files.write(f"{number}-done", told)
        told = told[-1:]
    for report in told:
        tune.report(report)


def _searcher(config: LecternConfig, scratch: str) -> Searcher:
    """Ray Tune's way to ask :class:`SweepStudy` for trials."""
    from ray.tune.search import Searcher

    study = SweepStudy(config.tune, config.run.seed, TrialFiles(f"{scratch}/trials"))

    class Draws(Searcher):
        def __init__(self) -> None:
            super().__init__(metric="eval_loss", mode="min")  # what every report has
            self._numbers: dict[str, int] = {}
            self._losses: dict[str, dict[int, float]] = {}

        def set_search_properties(self, metric: str | None, mode: str | None, config: Any, **spec: Any) -> bool:
            return True

        def suggest(self, trial_id: str) -> dict[str, Any]:
            number = self._numbers.setdefault(trial_id, len(self._numbers))
            self._losses[trial_id] = {}
            return {"trial": {"number": number, "parameters": study.draw(number)}}

        def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
            self._losses[trial_id][int(result["step"])] = result["eval_loss"]

        def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
            score = None if error else (result or {}).get("answer_f1")
            study.tell(self._numbers[trial_id], score, {} if error else self._losses[trial_id])

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the study keeps its own files."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing: a sweep that is run again draws its trials from the study's files."""

    return Draws()


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


def _row(result: Result) -> dict[str, Any]:
    """A row of ``TRIALS``; the loss is that of the trial's last evaluation."""
    trial, metrics = (result.config or {})["trial"], result.metrics or {}
    finished = "finished" if metrics.get("answer_f1") is not None else "stopped"
    return {
        "trial_id": f"{trial['number']:03d}",
        "status": "failed" if result.error else finished,
        "steps": int(metrics.get("step", 0)),
        "eval_loss": None if result.error else metrics.get("eval_loss"),
        "train_rows": None if result.error else metrics.get("train_rows"),
        "answer_f1": None if result.error else metrics.get("answer_f1"),
        "evidence_recall": None if result.error else metrics.get("evidence_recall"),
        "parameters": json.dumps(trial["parameters"], sort_keys=True),
        "error": str(result.error).strip().splitlines()[-1] if result.error else "",
    }

"""What each worker of a Ray Train run does: read rows, train, report, and on rank 0 write the adapter.

Every worker reads and tokenises the rows itself, so none of them passes through the driver.
"""

from __future__ import annotations

import collections
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.candidates import Candidate
from jobs.checkpoints import CheckpointList
from jobs.machine import available_memory
from jobs.progress import Counter
from jobs.stages import StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import LecternConfig
from qa_core.errors import UserError
from qa_core.manifest import git_commit
from qa_core.model_cards import card_license

if TYPE_CHECKING:
    from qa_core.training.fit import FitResult
    from qa_core.training.sft import TrainingExample

PLACEMENT_GROUP = "placement_group"
"""Metric that names the workers' placement group, for a sweep that has to free it."""


@dataclass(frozen=True)
class TrainingJob:
    """All that a training worker is given."""

    config: LecternConfig
    qa: Artifact
    base: Artifact
    adapter: Artifact | None = None
    """Where rank 0 writes the result; nowhere in a sweep."""
    answer_rows: int = 0
    """Validation questions that the finished candidate answers, in a sweep."""
    counter: Counter | None = None
    checkpoints: CheckpointList | None = None
    """Set by :func:`jobs.finetune.make_trainer`."""
    candidate: Candidate | None = None
    """In a joint sweep: the rows on the trial's own chunks."""


@dataclass(frozen=True)
class TrainingData:
    """The rows of one training run, and how many had to be left out."""

    train: list[TrainingExample]
    validation: list[TrainingExample]
    rejected: dict[str, int]

    @property
    def num_rows(self) -> dict[str, int]:
        return {"train": len(self.train), "validation": len(self.validation)}


def train_worker(loop_config: dict[Any, Any]) -> Any:
    """What each rank runs. A user's mistake is returned, not raised: another try would meet it again."""
    import ray.train

    from qa_core.training.preflight import is_out_of_memory, out_of_memory

    job: TrainingJob = loop_config["job"]
    try:
        return _train(job)
    except UserError as error:
        return error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        refused = out_of_memory(job.config.finetune)
        if ray.train.get_context().get_world_size() == 1:
            return refused
        raise refused from error  # the other workers still wait for this one, and returning would leave them waiting


def _train(job: TrainingJob) -> StageOutcome:
    import ray.train
    import torch

    from qa_core.training.base_model import model_location
    from qa_core.training.fit import fit
    from qa_core.training.hooks import evaluations
    from qa_core.training.preflight import require_memory
    from qa_core.training.qlora import load_tokenizer

    settings = job.config.finetune
    torch.set_num_threads(max(1, int(settings.compute.cpus_per_worker)))
    location = model_location(job.base.local())
    tokenizer = load_tokenizer(location)
    data = load_data(job, tokenizer)
    counter = job.counter if ray.train.get_context().get_world_rank() == 0 else None
    memory = _memory()
    needed = require_memory(location, settings, memory)
    if counter is not None:
        workers = ray.train.get_context().get_world_size()
        of_memory = f"about {needed.total / 2**30:.2f} of {memory / 2**30:.1f} GiB each ({needed})"
        counter.say(f"{workers} {'worker' if workers == 1 else 'workers'}, {of_memory}")
    checkpoint = ray.train.get_checkpoint()
    report = reporter(settings.compute.strategy == "deepspeed_zero2", job.checkpoints)
    with tempfile.TemporaryDirectory() as workdir, checkpoint.as_directory() if checkpoint else nullcontext() as folder:
        if folder and job.adapter is None:
            # A sweep that starts again has forgotten what this trial reported.
            for losses in evaluations(Path(folder)):
                report(losses, None)
        result = fit(
            location,
            data.train,
            data.validation,
            settings,
            job.config.run.seed,
            Path(workdir),
            resume_from=Path(folder) if folder else None,
            on_step=counter.reach if counter else None,
            on_checkpoint=report,
            tell=counter.say if counter else None,
            provenance=_provenance(job),
            tracking=_tracking(job),
        )
    if job.adapter is not None and ray.train.get_context().get_world_rank() == 0:
        _write(job, job.adapter, result, tokenizer, data)
    rows = {f"{split}_rows": count for split, count in data.num_rows.items()}
    candidate = _candidate(job, result, tokenizer, data) if job.answer_rows else {}
    return StageOutcome({"adapter": len(data.train)}, data.rejected, {**rows, **result.metrics, **candidate})


def _candidate(job: TrainingJob, result: FitResult, tokenizer: Any, data: TrainingData) -> dict[str, Any]:
    """Every evaluation of a sweep's trial, and once more the last with the score of its answers (by rank 0)."""
    import ray.train

    from qa_core.evaluation.selection import spread
    from qa_core.training.answers import answer_f1
    from qa_core.training.hooks import told_at_evaluations

    if ray.train.get_context().get_world_rank() != 0:
        return {}
    told, longest = told_at_evaluations(result.history), job.config.tune.answer_tokens
    if job.candidate is not None:
        scores = job.candidate.judge(result.model, tokenizer, job.answer_rows, longest)
    else:
        asked = spread(data.validation, job.answer_rows)
        scores = {"answer_f1": answer_f1(result.model, tokenizer, asked, longest)}
    return {"evaluations": [*told, {**told[-1], "train_rows": len(data.train), **scores}]}


def load_data(job: TrainingJob, tokenizer: Any) -> TrainingData:
    """Training and validation rows as token ids."""
    from qa_core.training.sft import build_examples

    if job.candidate is not None:
        qa, lost = job.candidate.conversations()
    else:
        qa, lost = job.qa.read_table(["qa_id", "split", "messages"]), {}
    max_length, rejected = job.config.finetune.max_length, collections.Counter(lost)
    train, too_long = build_examples(qa, "train", tokenizer, max_length)
    validation, too_long_as_well = build_examples(qa, "validation", tokenizer, max_length)
    rejected.update(too_long)
    rejected.update(too_long_as_well)
    return TrainingData(train, validation, dict(rejected))


def _memory() -> int:
    """Bytes that each worker can still take, by the worker with the least."""
    import ray.train.torch
    import torch
    import torch.distributed as dist

    device = ray.train.torch.get_device()
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = available_memory() // ray.train.get_context().get_local_world_size()
    least = torch.tensor(float(free), dtype=torch.float64, device=device)
    if dist.is_initialized():
        dist.all_reduce(least, dist.ReduceOp.MIN)
    return int(least)


def _provenance(job: TrainingJob) -> dict[str, str]:
    """Where a tracked run came from."""
    manifest = job.qa.manifest()
    return {"data_fingerprint": manifest.fingerprint if manifest else "", "git_commit": git_commit()}


def _tracking(job: TrainingJob) -> Path:
    """The trackers' folder: in the run where that is a local folder, and below the working directory otherwise."""
    store = job.qa.store
    return Path(store.path if store.is_local else Path.cwd() / store.path) / "tracking"


def reporter(sharded: bool, checkpoints: CheckpointList | None) -> Any:
    """Reports losses and checkpoints. Every rank must report equally often; rank 0's files are the whole checkpoint,
    unless DeepSpeed shards the optimiser (``sharded``), when each rank's files are a part of it."""
    import ray
    import ray.train

    rank = ray.train.get_context().get_world_rank()
    group = ray.util.get_current_placement_group()
    name = group.id.hex() if group is not None else ""

    def on_checkpoint(losses: dict[str, float], folder: Path | None) -> None:
        if checkpoints is not None and rank == 0:
            checkpoints.keep()
        whole = folder is not None and (rank == 0 or sharded)
        checkpoint = ray.train.Checkpoint.from_directory(str(folder)) if whole else None
        ray.train.report({**losses, PLACEMENT_GROUP: name}, checkpoint=checkpoint)

    return on_checkpoint


def _write(job: TrainingJob, adapter: Artifact, result: FitResult, tokenizer: Any, data: TrainingData) -> None:
    from qa_core.training.adapter import write_adapter
    from qa_core.training.base_model import model_location, model_name

    base = job.base.local()
    license = card_license(Path(model_location(base)) / "README.md")
    with adapter.staging() as folder:
        write_adapter(result, tokenizer, model_name(base), job.config.finetune, data.num_rows, license, folder)

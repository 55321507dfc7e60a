"""Stage ``finetune``: qa/ + base/ -> adapter/, with QLoRA on Ray Train.

A run that is killed finds its last checkpoint in the stage's scratch folder and ends with the bytes of a run that was
not. What each worker does is in :mod:`jobs.train_worker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs.checkpoints import CheckpointList
from jobs.console import is_disk_full
from jobs.ray_session import interruptible
from jobs.stages import StageContext, StageOutcome
from jobs.train_worker import TrainingJob, train_worker
from qa_core.config import FinetuneSettings
from qa_core.errors import UserError

if TYPE_CHECKING:
    from ray.train.torch import TorchTrainer


def run(context: StageContext) -> StageOutcome:
    """Train and write ``adapter/``."""
    inputs, total = context.inputs, context.config.finetune.max_steps
    with context.progress.track("steps", total) as counter:
        job = TrainingJob(context.config, inputs["qa"], inputs["base"], context.outputs["adapter"], counter=counter)
        outcome = interruptible(partial(train, job, "finetune", context.scratch))
    assert isinstance(outcome, StageOutcome)
    return outcome


def train(job: TrainingJob, name: str, storage_path: str, callbacks: Sequence[Any] = ()) -> Any:
    """What rank 0 of a Ray Train run returns; what a person can mend is raised as :class:`UserError`."""
    from ray.train import ControllerError, WorkerGroupError

    trainer = make_trainer(job, name, storage_path, callbacks)
    try:
        result: Any = trainer.fit()
    except (WorkerGroupError, ControllerError, OSError) as error:
        told = mendable(_causes(error), job.config.finetune, storage_path)
        if told is None:
            raise
        raise told from error
    if isinstance(result.return_value, UserError):
        raise result.return_value
    return result.return_value


def _causes(error: Exception) -> list[Exception]:
    """What went wrong on which worker, or here: a full disk fails the first who writes, and all of them write."""
    from ray.train import ControllerError, WorkerGroupError

    if isinstance(error, WorkerGroupError):
        return list(error.worker_failures.values())
    return [error.controller_failure] if isinstance(error, ControllerError) else [error]


def mendable(failures: Sequence[Exception], settings: FinetuneSettings, storage_path: str) -> UserError | None:
    """What a person can do about the failures of a run's workers; None when there is nothing to say."""
    import ray.exceptions

    for failure in failures:
        if isinstance(failure, UserError):
            return failure
        if isinstance(failure, ray.exceptions.OutOfMemoryError):
            from qa_core.training.preflight import out_of_memory

            return out_of_memory(settings)
        if is_disk_full(failure):
            return UserError(
                f"the disk of {storage_path} filled up while a checkpoint was saved",
                "free some and run again: training goes on from the checkpoint before",
            )
    return None


def make_trainer(job: TrainingJob, name: str, storage_path: str, callbacks: Sequence[Any] = ()) -> TorchTrainer:
    """A Ray Train run of ``job``; the same ``name`` and ``storage_path`` resume from the last checkpoint."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    compute, checkpoints = job.config.finetune.compute, CheckpointList(storage_path, name)
    checkpoints.mend()
    resources = {"CPU": compute.cpus_per_worker} | ({"GPU": 1.0} if compute.use_gpu else {})
    return TorchTrainer(
        train_worker,
        train_loop_config={"job": replace(job, checkpoints=checkpoints)},
        torch_config=TorchConfig(backend="nccl" if compute.use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=compute.num_workers, use_gpu=compute.use_gpu, resources_per_worker=resources
        ),
        run_config=RunConfig(
            name=name,
            storage_path=storage_path,
            failure_config=FailureConfig(max_failures=compute.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=2),
            callbacks=list(callbacks),
        ),
    )

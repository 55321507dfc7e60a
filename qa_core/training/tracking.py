"""Experiment trackers that may fail without taking the training with them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import MLflowCallback, TensorBoardCallback, WandbCallback

from qa_core.errors import UserError
from qa_core.training.samples import Sample, samples_page

_PROJECT = "lectern"
_log = logging.getLogger(__name__)

Show = Callable[[Any, Sequence[Sample]], None]
"""Puts the answers of a run into a tracker."""


def trackers(report_to: Sequence[str], folder: Path | None) -> list[TolerantTracker]:
    """A callback for each of ``wandb``, ``mlflow`` and ``tensorboard``; their own environment variables count first.

    Without a key Weights & Biases writes offline runs, and without a server MLflow writes a database; both, and
    TensorBoard's events, go to ``folder``.
    """
    for name in report_to:
        if find_spec(name) is None:
            extra = "mlflow" if name == "mlflow" else "tracking"
            raise UserError(f"finetune.report_to has {name}, which is not installed", f"pip install 'lectern[{extra}]'")
    if report_to:
        _set_defaults(folder or Path("tracking"))
    kinds = [_KINDS[name] for name in report_to]
    return [TolerantTracker(callback(), show) for callback, show in kinds]


class TolerantTracker(TrainerCallback):
    """A tracker that is told nothing more after its first failure, which is logged."""

    def __init__(self, tracker: TrainerCallback, show: Show) -> None:
        self._tracker: TrainerCallback | None = tracker
        self._show = show

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._tell("on_train_begin", args, state, control, **kwargs)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._tell("on_log", args, state, control, **kwargs)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._tell("on_train_end", args, state, control, **kwargs)

    def show(self, samples: Sequence[Sample]) -> None:
        """All answers to validation questions so far, once the run has begun on rank 0."""
        self._try(lambda tracker: self._show(tracker, samples))

    def _tell(self, event: str, *arguments: Any, **kwargs: Any) -> None:
        self._try(lambda tracker: getattr(tracker, event)(*arguments, **kwargs))

    def _try(self, use: Callable[[TrainerCallback], None]) -> None:
        if self._tracker is None:
            return
        try:
            use(self._tracker)
        except Exception as error:  # whatever a tracker's client raises: figures are lost, training is not
            name = type(self._tracker).__name__
            _log.warning("%s failed and is left out from here on: %s: %s", name, type(error).__name__, error)
            self._tracker = None


def _set_defaults(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    defaults = {
        "WANDB_DIR": str(folder),
        "WANDB_PROJECT": _PROJECT,
        "WANDB_SILENT": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_EXPERIMENT_NAME": _PROJECT,
        # A server that does not answer costs seconds, not the half hour of the client's own patience.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "TENSORBOARD_LOGGING_DIR": str(folder / "tensorboard"),
    }
    if "WANDB_API_KEY" not in os.environ:
        defaults["WANDB_MODE"] = "offline"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


class WandbRun(WandbCallback):
    """A run ends with training: its worker is killed afterwards, and another run may follow in its process."""

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        import wandb

        super().on_train_end(args, state, control, **kwargs)
        wandb.finish()


class MLflowRun(MLflowCallback):
    """With a database of our own the artifacts lie beside it, and not in the working directory."""

    def setup(self, args: TrainingArguments, state: TrainerState, model: Any) -> None:
        import mlflow

        address, name = os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_EXPERIMENT_NAME"]
        if state.is_world_process_zero and address.startswith("sqlite:///"):
            mlflow.set_tracking_uri(address)
            if mlflow.get_experiment_by_name(name) is None:
                folder = Path(address.removeprefix("sqlite:///")).absolute().parent / "mlflow-artifacts"
                mlflow.create_experiment(name, artifact_location=folder.as_uri())
        super().setup(args, state, model)


def _to_wandb(tracker: WandbCallback, samples: Sequence[Sample]) -> None:
    """As a table that grows with each evaluation."""
    import wandb

    columns: list[str | int] = [field.name for field in fields(Sample)]
    table = wandb.Table(columns=columns, data=[list(astuple(sample)) for sample in samples])
    wandb.log({"samples": table, "train/global_step": samples[-1].step})


def _to_mlflow(tracker: MLflowCallback, samples: Sequence[Sample]) -> None:
    """As the artifact ``samples.md``, which each evaluation replaces."""
    import mlflow

    mlflow.log_text(samples_page(samples), "samples.md")


def _to_tensorboard(tracker: TensorBoardCallback, samples: Sequence[Sample]) -> None:
    """As a text for each evaluation, which a slider goes through."""
    step = samples[-1].step
    tracker.tb_writer.add_text("samples", samples_page([one for one in samples if one.step == step]), step)


_KINDS: dict[str, tuple[type[TrainerCallback], Show]] = {
    "wandb": (WandbRun, _to_wandb),
    "mlflow": (MLflowRun, _to_mlflow),
    "tensorboard": (TensorBoardCallback, _to_tensorboard),
}

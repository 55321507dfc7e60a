"""Experiment trackers that may fail without taking the training with them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks

from qa_core.errors import UserError

_PROJECT = "lectern"
_log = logging.getLogger(__name__)


def trackers(report_to: Sequence[str], folder: Path | None) -> list[TrainerCallback]:
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
    return [TolerantTracker(tracker()) for tracker in get_reporting_integration_callbacks(list(report_to))]


class TolerantTracker(TrainerCallback):
    """A tracker that is told nothing more after its first failure, which is logged."""

    def __init__(self, tracker: TrainerCallback) -> None:
        self._tracker: TrainerCallback | None = tracker

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

    def _tell(self, event: str, *arguments: Any, **kwargs: Any) -> None:
        if self._tracker is None:
            return
        try:
            getattr(self._tracker, event)(*arguments, **kwargs)
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

"""What happens around the steps of transformers' Trainer: progress, and losses that survive a kill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

OnStep = Callable[[int], None]
OnCheckpoint = Callable[[dict[str, float], Path], None]

STATE_FILE = "trainer_state.json"
"""In every checkpoint folder."""


def evaluations(checkpoint: Path) -> list[dict[str, float]]:
    """The losses of every evaluation up to ``checkpoint``, each as ``on_checkpoint`` was told them."""
    return told_at_evaluations(losses_of(TrainerState.load_from_json(str(checkpoint / STATE_FILE))))


def told_at_evaluations(history: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """At each evaluation of ``history``, the newest of every figure."""
    told: list[dict[str, float]] = []
    newest: dict[str, float] = {}
    for entry in history:
        newest = newest | entry
        if "eval_loss" in entry:
            told.append(newest)
    return told


def losses_of(state: TrainerState) -> tuple[dict[str, float], ...]:
    """The log without speeds and times, which differ between equal runs."""
    kept = ("step", "loss", "eval_loss")
    entries = [{key: entry[key] for key in kept if key in entry} for entry in state.log_history]
    return tuple(entry for entry in entries if len(entry) > 1)


def checkpoint_folder(workdir: Path, state: TrainerState) -> Path:
    """Where Trainer has just written the checkpoint of this step."""
    return workdir / f"checkpoint-{state.global_step}"


class Hooks(TrainerCallback):
    """Tells of steps and checkpoints, and logs the loss at every checkpoint."""

    def __init__(
        self, workdir: Path, eval_steps: int, on_step: OnStep | None, on_checkpoint: OnCheckpoint | None
    ) -> None:
        self.workdir = workdir
        self.eval_steps = eval_steps
        self.on_step = on_step
        self.on_checkpoint = on_checkpoint

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.on_step is not None and state.global_step:
            self.on_step(state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        # A checkpoint does not hold the loss summed since the last log, so the two must fall together.
        if state.global_step % self.eval_steps == 0 or state.global_step >= state.max_steps:
            control.should_log = True
        if self.on_step is not None:
            self.on_step(state.global_step)
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.on_checkpoint is None:
            return
        newest: dict[str, float] = {}
        for entry in losses_of(state):
            newest |= entry
        self.on_checkpoint(newest, checkpoint_folder(self.workdir, state))

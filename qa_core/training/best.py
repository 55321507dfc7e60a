"""The adapter of the best evaluation, kept until the end and through kills, and when to stop looking for a better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.utils.save_and_load import set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qa_core.training.hooks import checkpoint_folder, losses_of

BEST_FILE = "best_adapter.safetensors"
"""In every checkpoint folder of a run that evaluates."""


def best_step(history: Sequence[Mapping[str, float]]) -> int:
    """The step with the lowest validation loss, the earliest of equals; 0 without an evaluation."""
    evaluations = [entry for entry in history if "eval_loss" in entry]
    return int(min(evaluations, key=lambda entry: entry["eval_loss"])["step"]) if evaluations else 0


def is_finished(history: Sequence[Mapping[str, float]], patience: int | None) -> bool:
    """Whether the last ``patience`` evaluations were all no better than one before them."""
    since = [entry for entry in history if "eval_loss" in entry and entry["step"] > best_step(history)]
    return patience is not None and len(since) >= patience


class BestAdapter(TrainerCallback):
    """Keeps the best weights in memory and in each checkpoint, and ends training when patience does.

    Both are read from the log, which a checkpoint holds, so a resumed run decides as the killed one would have.
    """

    def __init__(self, model: PeftModel, workdir: Path, patience: int | None, resume_from: Path | None) -> None:
        self._model = model
        self._workdir = workdir
        self._patience = patience
        self._weights: dict[str, torch.Tensor] = {}
        if resume_from is not None and (resume_from / BEST_FILE).is_file():
            self._weights = load_file(resume_from / BEST_FILE)

    def restore(self) -> None:
        """Give the model the best weights; those it has, when nothing was evaluated."""
        if self._weights:
            set_peft_model_state_dict(self._model, self._weights)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        history = losses_of(state)
        if best_step(history) == state.global_step:
            weights = get_peft_model_state_dict(self._model)
            self._weights = {name: weight.detach().cpu().clone() for name, weight in weights.items()}
        if is_finished(history, self._patience):
            control.should_training_stop = True
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero and self._weights:
            save_file(self._weights, checkpoint_folder(self._workdir, state) / BEST_FILE)

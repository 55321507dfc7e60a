"""How long training takes, told from its own first steps, so that telling costs none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qa_core.times import duration, seconds_each

Tell = Callable[[str], None]

_STEPS = 20
"""Timed; a tenth of a run that is shorter than ten times as many."""


class Calibration(TrainerCallback):
    """Times steps from the second one on, without the evaluations between them, and the first evaluation.

    It has to hear of an evaluation and a checkpoint after all other callbacks, whose work is part of their time.
    """

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._steps_left = 0
        self._timed = 0
        self._seconds = 0.0
        self._step_began: float | None = None
        self._step_ended = 0.0
        self._paused = False
        """Whether an evaluation was timed."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._steps_left = state.max_steps - state.global_step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._step_ended = self._clock()
        if self._step_began is not None:  # the first step also loads what the later ones find in memory
            self._timed += 1
            self._seconds += self._step_ended - self._step_began
            if self._timed == min(_STEPS, max(1, self._steps_left // 10)):
                self._tell(_line(self._steps_left, "step", self._seconds / self._timed))
        self._step_began = self._step_ended

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._step_began = self._clock()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._step_began = self._clock()
        if not self._paused:
            self._paused = True
            pauses = -(-self._steps_left // args.save_steps)
            kind = "checkpoint" if args.eval_strategy == "no" else "evaluation"
            self._tell(f"beside them {_line(pauses, kind, self._step_began - self._step_ended)}")


def _line(count: int, unit: str, each: float) -> str:
    plural = "" if count == 1 else "s"
    return f"{count:,} {unit}{plural} at {seconds_each(each)}: about {duration(count * each)}"

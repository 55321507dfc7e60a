"""The expected time comes from the run's own first steps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qa_core.times import duration, seconds_each
from qa_core.training.calibration import Calibration
from qa_core.training.fit import fit
from qa_core.training.sft import TrainingExample
from tests.unit.training.test_fit import settings


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(max_steps: int, done: int = 0, save_steps: int = 5, evaluates: bool = True) -> list[str]:
    """Lines of a run whose first step takes 100 s, every other one 2 s, and an evaluation with its checkpoint 7 s."""
    clock, lines = Clock(), []
    calibration = Calibration(lines.append, clock)
    arguments: Any = SimpleNamespace(save_steps=save_steps, eval_strategy="steps" if evaluates else "no")
    state: Any = SimpleNamespace(max_steps=max_steps, global_step=done)
    control: Any = None
    calibration.on_train_begin(arguments, state, control)
    for step in range(done + 1, max_steps + 1):
        clock.now += 100 if step == done + 1 else 2
        calibration.on_step_end(arguments, state, control)
        if step % save_steps == 0:
            clock.now += 4
            if evaluates:
                calibration.on_evaluate(arguments, state, control)
            clock.now += 3
            calibration.on_save(arguments, state, control)
    return lines


def test_steps_are_timed_without_the_first_one_and_without_the_evaluations_between_them() -> None:
    expected = ["beside them 200 evaluations at 7.0 s: about 23 min", "1,000 steps at 2.0 s: about 33 min"]
    assert told(1000) == expected
    assert told(1000, save_steps=1)[1] == expected[1]
    assert told(1000, save_steps=100)[0] == expected[1]


def test_a_run_that_goes_on_tells_of_the_steps_that_are_left() -> None:
    assert told(1000, done=900) == [
        "beside them 20 evaluations at 7.0 s: about 2 min",
        "100 steps at 2.0 s: about 3 min",
    ]


def test_a_short_run_is_told_by_a_tenth_of_it() -> None:
    assert told(40, save_steps=15)[0] == "40 steps at 2.0 s: about 80 s"
    assert told(3, save_steps=3) == ["3 steps at 2.0 s: about 6 s", "beside them 1 evaluation at 7.0 s: about 7 s"]
    assert told(1, save_steps=1) == ["beside them 1 evaluation at 7.0 s: about 7 s"]


def test_without_validation_rows_there_are_only_checkpoints() -> None:
    assert "beside them 1 checkpoint at 7.0 s: about 7 s" in told(3, save_steps=3, evaluates=False)


def test_lengths_of_time_have_the_unit_that_a_person_would_take() -> None:
    assert [duration(seconds) for seconds in (45.2, 600, 9000)] == ["45 s", "10 min", "2.5 h"]
    assert [seconds_each(seconds) for seconds in (0.618, 2.14, 14.4)] == ["0.62 s", "2.1 s", "14 s"]


def test_a_real_run_tells_its_steps_and_tokens_before_the_first_one_and_its_time_on_the_way(
    base: str, examples: list[TrainingExample], tmp_path: Path
) -> None:
    lines: list[str] = []
    result = fit(
        base,
        examples[:4],
        examples[4:],
        settings(),
        3,
        tmp_path,
        tell=lines.append,
        on_step=lambda step: lines.append(str(step)),
    )
    assert lines[0].startswith(f"4 steps over {result.tokens:,} tokens: ")
    assert lines[0].endswith(" passes over 4 rows")
    assert lines[1] == "1"
    assert sum(" steps at " in line for line in lines) == 1
    assert sum("2 evaluations at " in line for line in lines) == 1

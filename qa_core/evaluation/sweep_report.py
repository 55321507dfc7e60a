"""``sweep/report.html``: every trial of a sweep as a line through its parameters and what they led to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa_core.config import TuneSettings
from qa_core.evaluation import parallel_axes
from qa_core.evaluation.pages import page_environment
from qa_core.evaluation.parallel_axes import Axis, figure_axis, line, parameter_axis, written

Trial = Mapping[str, Any]
"""One row of ``TRIALS``."""

_FIGURES = {"eval_loss": "validation loss", "evidence_recall": "evidence shown", "answer_f1": "answer F1"}
"""In the order of their axes: what trials are stopped by comes first, what they are compared by last."""


@dataclass(frozen=True)
class TrialLine:
    points: str
    kind: str
    """``best``, ``finished`` or ``stopped``."""
    strength: float
    """0 to 1: how high its F1 is among the finished trials."""
    title: str


def write_sweep_report(trials: Sequence[Trial], best: Trial, settings: TuneSettings, out: Path) -> None:
    """Write ``report.html``, from the rows of ``trials.parquet`` and the search space alone."""
    measured = [name for name in _FIGURES if any(trial[name] is not None for trial in trials)]
    axes = [(key, parameter_axis(_short(key), dimension)) for key, dimension in sorted(settings.search_space.items())]
    axes += [(name, figure_axis(_FIGURES[name], _values(trials, name))) for name in measured]
    content = {
        "axes": [axis for _, axis in axes],
        "lines": _lines(trials, best, axes),
        "best": best,
        "ranked": [{**trial, "parameters": json.loads(trial["parameters"])} for trial in _ranked(trials)],
        "keys": sorted(settings.search_space),
        "measured": measured,
        "labels": {**{key: _short(key) for key in settings.search_space}, **_FIGURES},
        "counts": {kind: sum(trial["status"] == kind for trial in trials) for kind in ("stopped", "failed")},
        "settings": settings,
        "height": parallel_axes.HEIGHT,
        "spacing": parallel_axes.SPACING,
    }
    environment = page_environment()
    environment.filters["written"] = written
    page = environment.get_template("sweep.html.j2").render(content)
    (out / "report.html").write_text(page, encoding="utf-8")


def _lines(trials: Sequence[Trial], best: Trial, axes: Sequence[tuple[str, Axis]]) -> list[TrialLine]:
    """The best trial last, so that it is drawn over the others; failed ones led to nothing and have no line."""
    f1 = dict(axes)["answer_f1"]
    lines = [
        TrialLine(
            line(axes, {**json.loads(trial["parameters"]), **_figures(trial)}),
            "best" if trial["trial_id"] == best["trial_id"] else trial["status"],
            0.0 if trial["answer_f1"] is None else f1.scale.share(trial["answer_f1"]),
            f"trial {trial['trial_id']}: "
            + ", ".join(f"{_FIGURES[name]} {value:.4g}" for name, value in _figures(trial).items()),
        )
        for trial in trials
        if trial["status"] != "failed"
    ]
    return sorted(lines, key=lambda one: (one.kind == "best", one.strength))


def _figures(trial: Trial) -> dict[str, float]:
    return {name: trial[name] for name in _FIGURES if trial[name] is not None}


def _values(trials: Sequence[Trial], name: str) -> list[float]:
    return [trial[name] for trial in trials if trial[name] is not None]


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    """By F1, then by the loss at which they were stopped."""

    def place(trial: Trial) -> tuple[float, float]:
        f1, loss = trial["answer_f1"], trial["eval_loss"]
        return (-1.0 if f1 is None else f1, float("-inf") if loss is None else -loss)

    return sorted(trials, key=place, reverse=True)


def _short(key: str) -> str:
    """``lora.r`` for ``finetune.lora.r``: nearly every key is of that section."""
    return key.removeprefix("finetune.")

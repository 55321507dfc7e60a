"""Which settings a sweep tries, and what came of them: an Optuna study that a kill does not lose.

Every trial's parameters are written down when they are drawn and its outcome when it ends. A sweep that is run again
tries the same trials, and tells what is known of them instead of training once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

from qa_core.config import SearchDimension, TuneSettings

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


@dataclass(frozen=True)
class TrialFiles:
    """Small JSON files in a folder or below a URI. Pickles."""

    folder: str

    def read(self, name: str) -> Any:
        """What was written under ``name``, or None; half a file of a killed process counts as none."""
        filesystem, path = pafs.FileSystem.from_uri(self.folder)
        file = f"{path}/{name}.json"
        if filesystem.get_file_info(file).type != pafs.FileType.File:
            return None
        with filesystem.open_input_stream(file) as stream:
            try:
                return json.loads(stream.read())
            except ValueError:
                return None

    def write(self, name: str, value: Any) -> None:
        filesystem, path = pafs.FileSystem.from_uri(self.folder)
        filesystem.create_dir(path, recursive=True)
        with filesystem.open_output_stream(f"{path}/{name}.json") as stream:
            stream.write(json.dumps(value).encode())

    def outcome(self, number: int) -> Any:
        """What trial ``number`` reported, or one before it that drew the same: on the same compute settings it would
        report the same. None when neither has ended."""
        drawn = self.read(f"{number:03d}-drawn")
        alike = (other for other in range(number) if self.read(f"{other:03d}-drawn") == drawn)
        ended = (self.read(f"{trial:03d}-done") for trial in (number, *alike))
        return next((told for told in ended if told is not None), None)

    def known(self, num_trials: int) -> str:
        """What is known of earlier runs of the sweep, for a person; empty for a new one."""
        done, drawn = (
            sum(self.read(f"{number:03d}-{what}") is not None for number in range(num_trials))
            for what in ("done", "drawn")
        )
        return f"goes on: of {num_trials} trials {drawn} are known, {done} of them to their end" if drawn else ""


@dataclass
class SweepStudy:
    """Draws the parameters of numbered trials, and learns from their scores which to draw next."""

    settings: TuneSettings
    seed: int
    files: TrialFiles
    _trials: dict[int, Trial] = field(default_factory=dict)
    _study: Study = field(init=False)

    def __post_init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize")

    def draw(self, number: int) -> dict[str, Any]:
        """Dotted parameters of trial ``number``: those it had, when it was drawn before."""
        space, name = self.settings.search_space, f"{number:03d}-drawn"
        drawn = self.files.read(name)
        if drawn is not None:
            self._study.enqueue_trial(drawn)
        # Seeded by the number, so that what is drawn next does not depend on which draws came out of a file.
        self._study.sampler = _sampler(self.settings, self.seed + number)
        trial = self._study.ask({key: _distribution(space[key]) for key in sorted(space)})
        if drawn is None:
            self.files.write(name, trial.params)
        self._trials[number] = trial
        return {key: _value(space[key], drawn) for key, drawn in trial.params.items()}

    def tell(self, number: int, score: float | None, losses: Mapping[int, float]) -> None:
        """The score of a trial that ended, None for one that was stopped or failed, and its losses by step."""
        from optuna.trial import TrialState

        trial = self._trials[number]
        for step, loss in losses.items():
            trial.report(-loss, step)  # the study maximises; of stopped trials it knows no more than this
        state = None if score is not None else TrialState.PRUNED if losses else TrialState.FAIL
        self._study.tell(trial, score, state=state)


def _sampler(settings: TuneSettings, seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler, TPESampler

    if settings.searcher == "random":
        return RandomSampler(seed=seed)
    # A third of the trials at random is what the rest learn from; trials that still run count as bad, so that those
    # beside them look elsewhere.
    return TPESampler(seed=seed, n_startup_trials=max(2, settings.num_samples // 3), constant_liar=True)


def _distribution(dimension: SearchDimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if dimension.distribution == "choice":
        return CategoricalDistribution(range(len(dimension.values)))  # by place: a value may be a list
    assert dimension.low is not None
    assert dimension.high is not None
    return FloatDistribution(dimension.low, dimension.high, log=dimension.distribution == "loguniform")


def _value(dimension: SearchDimension, drawn: Any) -> Any:
    return dimension.values[drawn] if dimension.distribution == "choice" else drawn

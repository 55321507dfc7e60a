"""What a sweep may vary, and the config of each trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

from qa_core.config import LecternConfig, SearchDimension, TuneSettings
from qa_core.config_loader import apply
from qa_core.errors import UserError

_SEARCHED = (
    "finetune.", "retrieval.", "generate_qa.context.",
    "chunk.max_tokens", "chunk.overlap_tokens", "chunk.min_tokens", "chunk.segmentation.",
)  # fmt: skip
_REMEDY = (
    "every trial has the questions and answers of qa/, so a sweep varies how they are learned (finetune.*), what is"
    " retrieved and shown (retrieval.*, generate_qa.context.*) and how the same papers are cut (chunk.max_tokens,"
    " chunk.overlap_tokens, chunk.min_tokens, chunk.segmentation.*)"
)


def check_space(config: LecternConfig) -> None:
    """Raise :class:`UserError` for a key that a sweep does not vary, and for values that no trial could train with,
    alone or up to three of them together (no rule of the config is about more)."""
    space = config.tune.search_space
    for key, dimension in space.items():
        if not key.startswith(_SEARCHED):
            raise UserError(f"tune.search_space has {key!r}", _REMEDY)
        if key.startswith("chunk.") and dimension.distribution != "choice":
            raise UserError(
                f"tune.search_space has {key!r} over a range",
                "papers are cut and indexed once for each value: give a few as {distribution: choice, values: [...]}",
            )
    for keys in (keys for size in (1, 2, 3) for keys in combinations(sorted(space), size)):
        for values in product(*(_typical(space[key]) for key in keys)):
            trial_config(config, dict(zip(keys, values, strict=True)))


def _typical(dimension: SearchDimension) -> tuple[Any, ...]:
    """All values of a choice; of a range its ends and one between them, which is no whole number."""
    if dimension.distribution == "choice":
        return dimension.values
    assert dimension.low is not None
    assert dimension.high is not None
    return (dimension.low, dimension.low + (dimension.high - dimension.low) / math.e, dimension.high)


def most_steps(settings: TuneSettings) -> int:
    """Optimisation steps of the longest trial there can be."""
    searched = settings.search_space.get("finetune.max_steps")
    return max(searched.values) if searched else settings.max_steps


def trial_config(config: LecternConfig, parameters: Mapping[str, Any]) -> LecternConfig:
    """The config that one trial trains with."""
    length = {
        "finetune.max_steps": config.tune.max_steps,
        "finetune.eval_steps": config.tune.eval_steps,
        "finetune.sample_rows": 0,
    }
    return apply(config, {**length, **parameters})

"""What each part of the system adds: the same questions without it, and the difference with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from qa_core.config import SERVED, EvalSettings
from qa_core.evaluation.metrics import cites_gold, score_texts
from qa_core.evaluation.statistics import DocumentBootstrap, RowStatistics, mean_of
from qa_core.generation.chat import strip_citations

Row = Mapping[str, Any]
"""One row of ``PREDICTIONS``."""
_Place = tuple[str, str]
"""Model and mode."""
_FIGURES = ("f1", "rougeL", "term_recall")
_PARTS = (
    ("tuning", SERVED, "base-4bit"),
    ("tuning", "tuned-16bit", "base-16bit"),
    ("4 bits", SERVED, "tuned-16bit"),
    ("4 bits", "base-4bit", "base-16bit"),
)
"""A part, the model that has it, and the one that is the same without it."""


def compare_models(predictions: Sequence[Row], settings: EvalSettings, seed: int) -> dict[str, Any]:
    """``models``: figures of every model in every mode; ``parts``: what tuning, 4 bits and retrieval add to them.

    Answerable questions alone. Every model answers the same ones in one order, so differences are paired.
    """
    models = [SERVED, *settings.compare]
    asked: dict[_Place, list[Row]] = {(model, mode): [] for model in models for mode in settings.modes}
    for row in predictions:
        if row["answerable"] and row["model"] in models:
            asked[row["model"], row["mode"]].append(row)
    documents = [row["doc_id"] for row in asked[SERVED, settings.modes[0]]]
    bootstrap = DocumentBootstrap(
        documents, samples=settings.bootstrap_samples, confidence=settings.confidence, seed=seed
    )
    figures = {place: _figures(rows) for place, rows in asked.items()}
    return {
        "models": [
            {"model": model, "mode": mode, **{name: bootstrap.interval(value).rounded() for name, value in own.items()}}
            for (model, mode), own in figures.items()
        ],
        "parts": [
            {
                "part": part,
                "with": dict(zip(("model", "mode"), one, strict=True)),
                "without": dict(zip(("model", "mode"), other, strict=True)),
                **_difference(bootstrap, figures[one], figures[other]),
            }
            for part, one, other in _pairs(models, settings.modes)
        ],
    }


def _pairs(models: Sequence[str], modes: Sequence[str]) -> list[tuple[str, _Place, _Place]]:
    pairs = [
        (part, (one, mode), (other, mode))
        for part, one, other in _PARTS
        if one in models and other in models
        for mode in modes
    ]
    if {"rag", "standalone"} <= set(modes):
        pairs += [("retrieval", (model, "rag"), (model, "standalone")) for model in models]
    return pairs


def _figures(rows: Sequence[Row]) -> dict[str, RowStatistics]:
    score = score_texts([strip_citations(row["prediction"]) for row in rows], [row["reference"] for row in rows])
    # Without passages there is nothing to cite, which is no mistake.
    cited = [cites_gold(row["cited"], row["gold_numbers"]) if row["mode"] == "rag" else math.nan for row in rows]
    return {**{name: score.statistics[name] for name in _FIGURES}, "cites_gold": mean_of(cited)}


def _difference(
    bootstrap: DocumentBootstrap, one: Mapping[str, RowStatistics], other: Mapping[str, RowStatistics]
) -> dict[str, Any]:
    return {name: bootstrap.difference(value, other[name]).rounded() for name, value in one.items()}

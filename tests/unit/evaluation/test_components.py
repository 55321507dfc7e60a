"""Copies of the served model answer the same questions; what they lack is what a part adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qa_core.config import EvalSettings
from qa_core.evaluation.components import compare_models
from qa_core.evaluation.report import write_report
from qa_core.evaluation.summary import summarise
from qa_core.schemas import Passage

Rows = list[dict[str, Any]]
SETTINGS = EvalSettings(bootstrap_samples=200, compare=("base-16bit", "base-4bit", "tuned-16bit"))


@pytest.fixture
def of_all_models(predictions: Rows) -> Rows:
    """The base models answer as badly with passages as without; 16 bits answer like 4."""
    worse = [
        {**row, "model": model, "prediction": "It keeps some.", "cited": []}
        for model in ("base-16bit", "base-4bit")
        for row in predictions
    ]
    return [*predictions, *worse, *({**row, "model": "tuned-16bit"} for row in predictions)]


def part(compared: dict[str, Any], name: str, model: str, mode: str) -> dict[str, Any]:
    place = {"model": model, "mode": mode}
    return next(row for row in compared["parts"] if row["part"] == name and row["with"] == place)


def test_each_part_adds_what_the_same_model_lacks_without_it(of_all_models: Rows) -> None:
    compared = compare_models(of_all_models, SETTINGS, seed=1)
    tuning = part(compared, "tuning", "tuned-4bit", "rag")
    assert tuning["without"] == {"model": "base-4bit", "mode": "rag"}
    assert tuning["f1"]["low"] > 0.5
    assert tuning["cites_gold"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert part(compared, "4 bits", "tuned-4bit", "rag")["f1"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert part(compared, "retrieval", "base-4bit", "rag")["f1"]["value"] == 0.0
    assert part(compared, "retrieval", "tuned-4bit", "rag")["f1"]["low"] > 0.5


def test_citing_is_not_measured_where_there_is_nothing_to_cite(of_all_models: Rows) -> None:
    compared = compare_models(of_all_models, SETTINGS, seed=1)
    unmeasured = {"value": None, "low": None, "high": None}
    assert part(compared, "tuning", "tuned-4bit", "standalone")["cites_gold"] == unmeasured
    assert part(compared, "retrieval", "tuned-4bit", "rag")["cites_gold"] == unmeasured


def test_every_model_is_listed_in_every_mode(of_all_models: Rows) -> None:
    models = compare_models(of_all_models, SETTINGS, seed=1)["models"]
    assert {(row["model"], row["mode"]) for row in models} == {
        (model, mode)
        for model in ("tuned-4bit", "base-16bit", "base-4bit", "tuned-16bit")
        for mode in ("standalone", "rag")
    }


def test_only_parts_that_were_measured_are_told(predictions: Rows, of_all_models: Rows) -> None:
    settings = SETTINGS.model_copy(update={"compare": ("base-4bit",), "modes": ("rag",)})
    parts = compare_models([row for row in of_all_models if row["mode"] == "rag"], settings, seed=1)["parts"]
    assert [(row["part"], row["with"]["model"]) for row in parts] == [("tuning", "tuned-4bit")]
    assert "parts" not in summarise(predictions, EvalSettings(bootstrap_samples=200), top_k=2, seed=1)


def test_the_figures_of_the_served_model_stay_its_own_and_the_pages_show_the_others(
    predictions: Rows, of_all_models: Rows, passages: dict[str, Passage], tmp_path: Path
) -> None:
    alone = summarise(predictions, EvalSettings(bootstrap_samples=200), top_k=2, seed=1)
    compared = summarise(of_all_models, SETTINGS, top_k=2, seed=1)
    assert {name: compared[name] for name in alone} == alone
    write_report(compared, of_all_models, passages, tmp_path)
    for page in ("report.html", "report.md"):
        text = (tmp_path / page).read_text()
        assert "What each part adds" in text
        assert "base, 4 bits" in text
        assert "tuned, 4 bits (served), with retrieval" in text
        # Samples are the served model's alone.
        assert text.count("It keeps some.") == 6

"""The page of a sweep: every trial is a line at the heights of its parameters and figures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from qa_core.config import SearchDimension, TuneSettings
from qa_core.evaluation.parallel_axes import HEIGHT, SPACING, figure_axis, parameter_axis
from qa_core.evaluation.sweep_report import write_sweep_report

RATE = SearchDimension(distribution="loguniform", low=1e-5, high=1e-3)
SPACE = {
    "finetune.learning_rate": RATE,
    "finetune.lora.target_modules": SearchDimension(distribution="choice", values=(["q_proj"], ["q_proj", "v_proj"])),
    "retrieval.top_k": SearchDimension(distribution="choice", values=(2, 3, 5)),
}


def trial(number: int, rate: float, modules: list[str], top_k: int, **values: Any) -> dict[str, Any]:
    drawn = {
        "finetune.learning_rate": rate,
        "finetune.lora.target_modules": modules,
        "retrieval.top_k": top_k,
    }
    return {
        "trial_id": f"{number:03d}", "status": "finished", "steps": 16, "eval_loss": 2.0, "train_rows": 400,
        "answer_f1": 0.4, "evidence_recall": 0.5, "parameters": json.dumps(drawn), "error": "", **values,
    }  # fmt: skip


TRIALS = [
    trial(0, 1e-4, ["q_proj"], 3),
    trial(1, 1e-5, ["q_proj", "v_proj"], 5, answer_f1=0.6, evidence_recall=0.9, eval_loss=2.1),
    trial(2, 1e-3, ["q_proj"], 2, status="stopped", answer_f1=None, evidence_recall=None, train_rows=None, steps=4),
    trial(3, 5e-4, ["q_proj"], 2, status="failed", answer_f1=None, evidence_recall=None, eval_loss=None, error="<b>"),
]


@pytest.fixture
def page(tmp_path: Path) -> str:
    write_sweep_report(TRIALS, TRIALS[1], TuneSettings(search_space=SPACE), tmp_path)
    return (tmp_path / "report.html").read_text()


def drawing(page: str) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", page, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found.group())


def test_a_logarithmic_axis_has_powers_of_ten_at_equal_distances_and_choices_are_spread_evenly() -> None:
    rate, modules = parameter_axis("rate", RATE), parameter_axis("modules", SPACE["finetune.lora.target_modules"])
    assert [tick.label for tick in rate.ticks] == ["1e-05", "0.0001", "0.001"]
    assert [rate.y(value) for value in (1e-5, 1e-4, 1e-3)] == pytest.approx([HEIGHT, HEIGHT / 2, 0])
    assert [modules.y(value) for value in (["q_proj"], ["q_proj", "v_proj"])] == [HEIGHT, 0]
    top_k = parameter_axis("top_k", SPACE["retrieval.top_k"])
    assert [top_k.y(value) for value in (2, 3, 5)] == [HEIGHT, HEIGHT / 2, 0]


def test_the_axis_of_a_figure_holds_all_of_its_values_even_when_they_are_equal() -> None:
    for values in ([0.2, 0.4], [0.0, 0.0], [2.0]):
        axis = figure_axis("F1", values)
        assert all(0 < axis.y(value) < HEIGHT for value in values)
        assert 2 <= len(axis.ticks) <= 6


def test_each_trial_has_a_line_and_the_best_one_is_drawn_over_the_others(page: str) -> None:
    lines = [element for element in drawing(page).iter() if element.tag == "polyline"]
    assert [line.get("class") for line in lines] == ["stopped", "finished", "best"]
    places = [[tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()] for line in lines]
    stopped, finished, best = places
    assert [x for x, _ in best] == [SPACING * number for number in range(6)]
    assert [y for _, y in best[:3]] == [HEIGHT, 0, 0]
    assert len(finished) == 6
    assert len(stopped) == 4  # its parameters and its loss; it has no answers
    assert best[-1][1] < finished[-1][1]


def test_the_page_names_the_best_trial_and_escapes_what_it_did_not_write(page: str) -> None:
    assert "Trial 001 of 4 answers best, with a token F1 of 0.6000." in page
    assert "1 stopped early by validation loss. 1 failed." in page
    rows = re.findall(r'<th scope="row">(\d+)</th>', page)
    assert rows == ["001", "000", "002", "003"]
    assert "&lt;b&gt;" in page
    assert "<script" not in page
    assert "http" not in page


def test_a_sweep_without_retrieval_has_no_axis_of_evidence(tmp_path: Path) -> None:
    trials = [{**one, "evidence_recall": None} for one in TRIALS]
    write_sweep_report(trials, trials[1], TuneSettings(search_space=SPACE), tmp_path)
    assert "evidence shown" not in (tmp_path / "report.html").read_text()

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from qa_core.config import EvalSettings
from qa_core.evaluation.report import escape_markdown, points, samples, verdict, write_report
from qa_core.evaluation.summary import summarise
from qa_core.schemas import Passage

Rows = list[dict[str, Any]]


def report(rows: Rows, passages: dict[str, Passage], out: Path, **settings: Any) -> tuple[str, str]:
    metrics = summarise(rows, EvalSettings(bootstrap_samples=200, **settings), top_k=2, seed=1)
    write_report(metrics, rows, passages, out)
    return (out / "report.html").read_text(), (out / "report.md").read_text()


class Tags(HTMLParser):
    """Opening and closing tags, and whether they nest."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_both_pages_show_figures_intervals_and_samples(predictions: Rows, passages: dict[str, Passage], tmp_path: Path):
    html, markdown = report(predictions, passages, tmp_path)
    for page in (html, markdown):
        assert "6 questions from 3 held-out papers" in page
        assert "With retrieval +" in page
        assert "3 papers cannot speak for others" in page
        assert "ROUGE-L" in page
        assert "recall@2" in page
        assert "On replicas" in page
        assert "How many replicas does group 5 keep?" in page


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(
    predictions: Rows, passages: dict[str, Passage], tmp_path: Path
):
    html, _ = report(predictions, passages, tmp_path)
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    assert not tags.seen & {"script", "link", "img", "iframe"}
    assert not re.search(r"(?:src|href)=\"(?!#)|url\(|@import", html)


def test_text_of_papers_and_models_is_escaped(predictions: Rows, passages: dict[str, Passage], tmp_path: Path):
    attack = "<script>alert(1)</script> | [x](javascript:y) `z`\n\n# no heading"
    for row in predictions:
        row["prediction"] = row["question"] = row["reference"] = attack
    hostile = {name: replace(p, text=attack, title=attack, source=attack) for name, p in passages.items()}
    html, markdown = report(predictions, hostile, tmp_path)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "\\<script\\>" in markdown
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[x|^# no", markdown, flags=re.MULTILINE)


def test_markdown_text_stays_on_its_line() -> None:
    assert escape_markdown("a\n\n- b | c") == "a - b \\| c"


def test_the_same_predictions_give_the_same_bytes(predictions: Rows, passages: dict[str, Passage], tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert report(predictions, passages, tmp_path / "one") == report(predictions, passages, tmp_path / "two")


def test_a_report_on_one_mode_has_no_comparison(predictions: Rows, passages: dict[str, Passage], tmp_path: Path):
    alone = [row for row in predictions if row["mode"] == "standalone"]
    html, markdown = report(alone, passages, tmp_path, modes=("standalone",))
    assert "Only one mode was measured" in html
    assert "difference" not in markdown.lower()


def test_samples_come_from_every_question_type_in_turn(predictions: Rows, passages: dict[str, Passage]) -> None:
    assert [sample.question_type for sample in samples(predictions, passages)] == ["analytical", "factual"] * 3


def test_a_sample_marks_gold_and_cited_passages(predictions: Rows, passages: dict[str, Passage]) -> None:
    first = samples(predictions, passages)[0]
    assert [(item.number, item.is_gold, item.is_cited) for item in first.passages] == [
        (1, True, True),
        (2, False, False),
    ]


def test_the_verdict_claims_no_more_than_the_interval_allows() -> None:
    def of(low: float | None, high: float | None, documents: int = 6) -> str:
        return verdict({"documents": documents, "difference": {"rougeL": {"value": 0.1, "low": low, "high": high}}})

    assert of(0.05, 0.2).startswith("Retrieval helps")
    assert of(-0.2, -0.05).startswith("Retrieval hurts")
    assert "may be chance" in of(-0.05, 0.2)
    assert (
        of(0.05, 0.2, documents=5) == "With retrieval +10.0 ROUGE-L points here, and 5 papers cannot speak for others."
    )
    assert "one paper cannot speak" in of(None, None, documents=1)


def test_a_figure_that_rounds_to_zero_has_no_minus_sign() -> None:
    assert (points(-0.0001), points(-0.0001, signed=True), points(None)) == ("0.0", "+0.0", "–")

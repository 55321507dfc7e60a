"""The card tells what is in the data set, in Markdown that a title cannot break."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
import yaml

from qa_core.config import ContextSettings
from qa_core.dataset.card import DatasetSummary, dataset_card
from qa_core.generation.chat import ABSTENTION
from qa_core.schemas import QA
from tests.unit.dataset.sample_rows import sample_rows, sample_table

FUNNEL = (
    {"name": "proposed", "left": 1200, "lost": {}},
    {"name": "evidence", "left": 900, "lost": {"evidence_not_found": 250, "number_not_in_evidence": 50}},
)
SUMMARY = DatasetSummary(
    name="tiny",
    rows=sample_table(),
    titles={f"d{number}": f"Paper {number}" for number in range(16)},
    judge="vllm:judge-7b",
    funnel=FUNNEL,
    context=ContextSettings(),
    seed=17,
)


def table(card: str, heading: str) -> list[list[str]]:
    """Cells of the table below ``heading``, without its rule."""
    section = card.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def with_values(**values: Any) -> DatasetSummary:
    return replace(SUMMARY, rows=pa.Table.from_pylist([{**row, **values} for row in sample_rows()], schema=QA))


def test_the_front_matter_is_yaml_with_a_file_for_each_split() -> None:
    _, matter, _ = dataset_card(SUMMARY).split("---\n", 2)
    tree = yaml.safe_load(matter)
    assert tree["license"] == "other"
    assert tree["size_categories"] == ["n<1K"]
    (config,) = tree["configs"]
    assert config["data_files"] == [
        {"split": split, "path": f"{split}-00000-of-00001.parquet"} for split in ("train", "validation", "test")
    ]


def test_rows_are_counted_by_type_and_split() -> None:
    assert table(dataset_card(SUMMARY), "Rows") == [
        ["question type", "train", "validation", "test", "all"],
        ["factual", "6", "2", "0", "8"],
        ["numeric", "6", "0", "2", "8"],
        ["**all**", "12", "2", "2", "16"],
    ]


def test_the_funnel_tells_what_was_lost_and_why() -> None:
    assert table(dataset_card(SUMMARY), "The funnel")[1:] == [
        ["proposed", "1,200", ""],
        ["evidence", "900", "250 evidence_not_found, 50 number_not_in_evidence"],
    ]


def test_every_column_is_described() -> None:
    names = [line[0].strip("`") for line in table(dataset_card(SUMMARY), "Columns")[1:]]
    assert names == QA.names


def test_teacher_judge_seed_prompts_and_reviews_are_named() -> None:
    card = dataset_card(with_values(review="edited"))
    assert "`template` (16 rows)" in card
    assert "Judge: `vllm:judge-7b`" in card
    assert "Seed: 17" in card
    assert "16 edited" in card
    assert ["numeric", "`abc123`"] in table(card, "How it was made")
    assert "Judge: none" in dataset_card(replace(SUMMARY, judge=None))


def test_conversations_are_counted_as_they_are() -> None:
    rows = sample_rows()
    shown = [row for row in rows if row["context_chunk_ids"]]
    abstaining = [row for row in shown if row["messages"][-1]["content"] == ABSTENTION]
    card = dataset_card(SUMMARY)
    assert 0 < len(abstaining) < len(shown) < 16
    assert f"{len(shown)} conversations show numbered passages" in card
    assert f"{len(abstaining)} of them" in card
    assert f"The other {16 - len(shown)} show none" in card


@pytest.mark.parametrize("title", ["A | B", "Line\nbreak", "<script>alert(1)</script>", "Über & unter"])
def test_a_title_stays_in_its_cell(title: str) -> None:
    card = dataset_card(replace(SUMMARY, titles={"d0": title}))
    assert "<script>" not in card
    papers = table(card, "Papers")
    assert all(len(line) == 3 for line in papers)
    assert len(papers) == 17


def test_a_paper_without_a_title_is_named_by_its_id() -> None:
    assert ["d3", "train", "1"] in table(dataset_card(replace(SUMMARY, titles={"d3": ""})), "Papers")


def test_only_the_first_of_very_many_papers_are_named() -> None:
    rows = pa.Table.from_pylist([{**sample_rows(1)[0], "doc_id": f"d{number:04}"} for number in range(503)], schema=QA)
    card = dataset_card(replace(SUMMARY, rows=rows, titles={}))
    assert len(table(card, "Papers")) == 501
    assert "And 3 more papers." in card


def test_the_size_category_follows_the_number_of_rows() -> None:
    rows = pa.concat_tables([SUMMARY.rows] * 63)
    assert "1K<n<10K" in dataset_card(replace(SUMMARY, rows=rows))


def test_equal_data_sets_have_equal_cards() -> None:
    assert dataset_card(SUMMARY) == dataset_card(replace(SUMMARY, rows=SUMMARY.rows.take(list(range(15, -1, -1)))))

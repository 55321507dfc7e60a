"""The folder opens with the Hugging Face library, and with nothing but it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qa_core.artifacts import RunStore
from qa_core.config import ContextSettings
from qa_core.dataset.card import DatasetSummary, dataset_card
from qa_core.dataset.layout import write_dataset
from qa_core.schemas import QA
from tests.unit.dataset.sample_rows import sample_rows, sample_table


def card(rows: pa.Table) -> str:
    return dataset_card(DatasetSummary("tiny", rows, {}, None, (), ContextSettings(), 17))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "qa"
    folder.mkdir()
    return folder


def load(folder: Path, cache: Path, program: str) -> str:
    """What ``program`` prints about ``rows``, opened by the library in a process that cannot reach a hub."""
    start = f"from datasets import load_dataset\nrows = load_dataset({str(folder)!r}, cache_dir={str(cache)!r})\n"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(cache)}
    result = subprocess.run(
        [sys.executable, "-c", start + program], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_load_dataset_opens_the_folder_with_three_splits_beside_a_manifest(folder: Path, tmp_path: Path) -> None:
    write_dataset(sample_table(), folder, card(sample_table()))
    (folder / "manifest.json").write_text('{"stage": "generate-qa", "files": {}}')
    told = load(
        folder,
        tmp_path / "cache",
        "print({name: len(split) for name, split in rows.items()})\n"
        "print(rows['train'].column_names)\n"
        "print(rows['train'][0]['messages'][0]['role'], rows['test'][0]['evidence'][0]['start_char'])\n",
    ).splitlines()
    assert told == ["{'train': 12, 'validation': 2, 'test': 2}", str(QA.names), "system 0"]


def test_a_data_set_without_some_split_opens_with_the_others(folder: Path, tmp_path: Path) -> None:
    table = sample_table()
    table = table.filter([row["split"] != "validation" for row in table.to_pylist()])
    write_dataset(table, folder, card(table))
    told = load(folder, tmp_path / "cache", "print({name: len(split) for name, split in rows.items()})")
    assert told == "{'train': 12, 'test': 2}"


def test_the_other_stages_read_all_rows_back(tmp_path: Path) -> None:
    artifact = RunStore.open(str(tmp_path), "run").artifact("qa")
    Path(artifact.path).mkdir(parents=True)
    write_dataset(sample_table(), Path(artifact.path), card(sample_table()))
    rows = artifact.read_table()
    assert rows.schema.equals(QA)
    assert sorted(rows.to_pylist(), key=lambda row: row["qa_id"]) == sample_rows()


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_dataset(sample_table().replace_schema_metadata({"made": name}), tmp_path / name, card(sample_table()))
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
    assert sorted(contents[0]) == [
        "README.md",
        *(f"{s}-00000-of-00001.parquet" for s in ("test", "train", "validation")),
    ]


def test_rows_keep_their_order_within_a_split(folder: Path) -> None:
    write_dataset(sample_table().take(list(range(15, -1, -1))), folder, card(sample_table()))
    ids = pq.read_table(folder / "train-00000-of-00001.parquet")["qa_id"].to_pylist()
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 12


def test_a_row_of_no_split_is_never_dropped_silently(folder: Path) -> None:
    rows = sample_table().set_column(QA.names.index("split"), QA.field("split"), [[None, "dev", *["train"] * 14]])
    with pytest.raises(ValueError, match=r"\['None', 'dev'\]"):
        write_dataset(rows, folder, card(sample_table()))

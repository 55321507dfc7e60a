"""The exports carry each conversation whole, in the words of the tools that read them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from jobs.export import export_dataset
from qa_core.artifacts import Artifact, RunStore
from qa_core.dataset.export import export_files
from qa_core.dataset.layout import write_dataset
from qa_core.errors import UserError
from qa_core.manifest import Manifest
from tests.unit.dataset.sample_rows import sample_rows, sample_table

FILES = ["dataset_info.json", "test.jsonl", "train.jsonl", "validation.jsonl"]


@pytest.fixture
def qa(tmp_path: Path) -> Artifact:
    artifact = RunStore.open(str(tmp_path), "run").artifact("qa")
    artifact.clear_staging()
    with artifact.staging() as folder:
        write_dataset(sample_table(), folder, "")
    manifest = Manifest(
        artifact="qa", stage="generate-qa", fingerprint="f", inputs={}, config={}, seed=1, num_rows=16, rejected={},
        metrics={}, packages={}, git_commit="", started="", finished="", seconds=0.0,
    )  # fmt: skip
    artifact.publish(manifest)
    return artifact


def console() -> Console:
    return Console(file=io.StringIO(), width=10_000)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_sharegpt_has_the_turns_under_from_and_value(qa: Artifact, tmp_path: Path) -> None:
    export_dataset(qa, "sharegpt", tmp_path / "out", console())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    roles = {"system": "system", "user": "human", "assistant": "gpt"}
    for split in ("train", "validation", "test"):
        assert lines(tmp_path / "out" / f"{split}.jsonl") == [
            {"conversations": [{"from": roles[turn["role"]], "value": turn["content"]} for turn in row["messages"]]}
            for row in sample_rows()
            if row["split"] == split
        ]


def test_alpaca_has_the_whole_turn_of_the_user_as_instruction(qa: Artifact, tmp_path: Path) -> None:
    export_dataset(qa, "alpaca", tmp_path / "out", console())
    (first, *_) = sample_rows()
    system, user, assistant = (turn["content"] for turn in first["messages"])
    assert lines(tmp_path / "out" / "train.jsonl")[0] == {
        "instruction": user, "input": "", "output": assistant, "system": system,
    }  # fmt: skip


@pytest.mark.parametrize(("form", "column"), [("sharegpt", "messages"), ("alpaca", "prompt")])
def test_the_description_names_the_fields_that_the_lines_have(form: str, column: str) -> None:
    files = export_files(sample_table(), form)  # type: ignore[arg-type]
    described = json.loads(files["dataset_info.json"])
    assert sorted(described) == ["lectern_test", "lectern_train", "lectern_validation"]
    for entry in described.values():
        first = json.loads(files[entry["file_name"]].splitlines()[0])
        assert column in entry["columns"]
        assert set(entry["columns"].values()) <= first.keys()


def test_what_was_written_is_told(qa: Artifact, tmp_path: Path) -> None:
    told = console()
    export_dataset(qa, "sharegpt", tmp_path / "out", told)
    text = told.file.getvalue()  # type: ignore[attr-defined]
    assert f"{tmp_path / 'out' / 'train.jsonl'}  12 rows" in text
    assert "chat_template" in text


def test_files_that_are_there_are_replaced_only_by_force(qa: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "train.jsonl").write_text("mine")
    (out / "notes.txt").write_text("mine too")
    with pytest.raises(UserError, match=r"train\.jsonl already"):
        export_dataset(qa, "sharegpt", out, console())
    assert sorted(path.name for path in out.iterdir()) == ["notes.txt", "train.jsonl"]
    export_dataset(qa, "sharegpt", out, console(), force=True)
    assert len(lines(out / "train.jsonl")) == 12
    assert (out / "notes.txt").read_text() == "mine too"
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, "notes.txt"])


def test_an_unknown_form_and_a_missing_artifact_are_the_users_mistakes(qa: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sharegpt, alpaca"):
        export_dataset(qa, "chatml", tmp_path / "out", console())
    with pytest.raises(UserError, match="lectern generate-qa"):
        export_dataset(RunStore.open(str(tmp_path), "none").artifact("qa"), "alpaca", tmp_path / "out", console())
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_named(qa: Artifact, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        export_dataset(qa, "alpaca", tmp_path / "file" / "out", console())

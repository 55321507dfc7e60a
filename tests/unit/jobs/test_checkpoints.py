"""Ray's list of checkpoints survives a disk that fills up while it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.checkpoints import CheckpointList


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    file = tmp_path / "finetune" / "checkpoint_manager_snapshot.json"
    file.parent.mkdir()
    file.write_text('{"checkpoints": [1, 2]}')
    return file


@pytest.mark.parametrize("left", ["", '{"checkpoints": [1, 2'])
def test_half_a_list_is_replaced_by_the_last_whole_one(listed: Path, tmp_path: Path, left: str) -> None:
    checkpoints = CheckpointList(str(tmp_path), "finetune")
    checkpoints.keep()
    listed.write_text(left)
    checkpoints.keep()  # half a list is no copy worth keeping
    checkpoints.mend()
    assert listed.read_text() == '{"checkpoints": [1, 2]}'


def test_a_whole_list_is_left_alone(listed: Path, tmp_path: Path) -> None:
    checkpoints = CheckpointList(str(tmp_path), "finetune")
    checkpoints.keep()
    listed.write_text('{"checkpoints": [2, 3]}')
    checkpoints.mend()
    assert listed.read_text() == '{"checkpoints": [2, 3]}'


def test_half_a_list_without_a_copy_means_starting_anew(listed: Path, tmp_path: Path) -> None:
    listed.write_text("{")
    CheckpointList(str(tmp_path), "finetune").mend()
    assert not listed.exists()


def test_a_run_that_never_began_has_nothing_to_mend(tmp_path: Path) -> None:
    checkpoints = CheckpointList(str(tmp_path), "finetune")
    checkpoints.mend()
    checkpoints.keep()
    assert list(tmp_path.rglob("*")) == []

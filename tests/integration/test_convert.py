"""The convert stage alone, on the artifacts of a finished run: what it leaves behind, and what a failed gate does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from qa_core.artifacts import RunStore
from qa_core.generation.gguf_adapter import read_adapter_header
from qa_core.generation.gguf_model import read_model_header
from qa_core.generation.model_file import model_file
from tests.integration.commands import finish, lectern

pytestmark = pytest.mark.ray


@pytest.fixture
def copied_run(finished_run: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    """A copy of the run without its converted model, and its settings."""
    run, settings = finished_run
    shutil.copytree(run, tmp_path / "tiny", ignore=shutil.ignore_patterns("gguf", "eval", ".scratch", ".lock"))
    return tmp_path / "tiny", [f"run.storage={tmp_path}" if "run.storage" in key else key for key in settings]


def test_the_artifact_holds_all_that_other_programs_need(finished_run: tuple[Path, list[str]]) -> None:
    run, _ = finished_run
    manifest = RunStore.open(str(run.parent), run.name).artifact("gguf").manifest()
    assert manifest is not None
    model = manifest.metrics["file"]
    assert set(manifest.files) == {
        model, "imatrix.gguf", "adapter.gguf", "calibration.json", "parity.json", "README.md", "Modelfile",
    }  # fmt: skip
    assert json.loads((run / "gguf" / "parity.json").read_text())["passed"] is True
    assert (run / "gguf" / "Modelfile").read_text().startswith(f"FROM ./{model}\n")


def test_two_workers_calibrate_to_the_same_bytes_as_one_and_the_base_file_takes_the_adapter(
    copied_run: tuple[Path, list[str]], finished_run: tuple[Path, list[str]]
) -> None:
    run, settings = copied_run
    finish(lectern("convert", "--config", "tiny", *settings, "convert.compute.num_workers=2", "convert.base_file=true"))
    of_two, of_one = run / "gguf", finished_run[0] / "gguf"
    assert (of_two / "imatrix.gguf").read_bytes() == (of_one / "imatrix.gguf").read_bytes()
    assert model_file(of_two).read_bytes() == model_file(of_one).read_bytes()
    base = read_model_header(run / "gguf" / "base.gguf")
    read_adapter_header(run / "gguf" / "adapter.gguf", base)
    assert base.tensors.keys() == read_model_header(model_file(run / "gguf")).tensors.keys()


def test_a_failed_gate_says_why_keeps_the_files_aside_and_publishes_nothing(
    copied_run: tuple[Path, list[str]],
) -> None:
    run, settings = copied_run
    process = lectern("convert", "--config", "tiny", *settings, "convert.parity.max_mean_kld=1e-9")
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 1, output
    assert "quantized kld" in output
    assert "<= 1e-09  FAILED" in output
    assert "quantized_kld is " in output
    assert str(run / "gguf_failed") in output
    assert not (run / "gguf").exists()
    kept = {file.name for file in (run / "gguf_failed").iterdir()}
    assert {"imatrix.gguf", "parity.json", "README.md"} < kept
    assert "manifest.json" not in kept

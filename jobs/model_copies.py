"""Copies of the served model that lack one part of it: the tuning, or the 4 bits. Evaluation asks them the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from jobs.scratch import once
from qa_core.artifacts import Artifact
from qa_core.config import SERVED, ConvertSettings


def model_copy(name: str, inputs: Mapping[str, Artifact], settings: ConvertSettings, scratch: Path) -> Path:
    """GGUF file of ``base-16bit``, ``base-4bit``, ``tuned-16bit``, or of the served model, ``tuned-4bit``.

    A base is quantised just as the tuned model was: in the same type, with a matrix from the same rows.
    """
    from qa_core.generation.model_file import model_file
    from qa_core.quantization.convert import merge_adapter, write_gguf
    from qa_core.training.base_model import model_location

    if name == SERVED:
        return model_file(inputs["gguf"].local())
    weights, _, bits = name.partition("-")
    folder = Path(base := model_location(inputs["base"].local()))
    if weights == "tuned":
        adapter = inputs["adapter"].local()
        folder = once(scratch / "merged", lambda out: merge_adapter(base, adapter, out))
    f16 = once(scratch / f"{weights}-16bit.gguf", lambda out: write_gguf(folder, out, "f16", f"Lectern {weights}"))
    if bits == "16bit":
        return f16
    qa = inputs["qa"].read_table(["qa_id", "split", "context_chunk_ids", "messages"])
    return once(scratch / f"{name}.gguf", lambda out: _quantize(folder, f16, qa, settings, out))


def _quantize(folder: Path, f16: Path, qa: pa.Table, settings: ConvertSettings, out: Path) -> None:
    from qa_core.quantization.calibration import calibration_rows
    from qa_core.quantization.imatrix import collect
    from qa_core.quantization.quantize import quantize

    rows = calibration_rows(
        folder, qa, split="train", rows=settings.calibration_rows, length=settings.calibration_length
    )
    n_threads = settings.compute.n_threads
    quantize(f16, out, settings.quantization, collect(folder, rows, n_threads), n_threads)

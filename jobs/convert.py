"""adapter + base -> merged -> F16 GGUF -> importance matrix -> quantised GGUF, behind a parity gate.

One Ray task does it all, because every step reads the file of the step before. Finished files in the scratch folder are
kept, so a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.progress import Counter
from jobs.ray_session import on_cluster
from jobs.scratch import local_scratch, once
from jobs.stages import StageContext, StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import ConvertSettings

_STEPS = ("merge", "convert", "matrix", "quantise", "parity")


@dataclass(frozen=True)
class _Work:
    """What the task needs, and nothing of the driver."""

    settings: ConvertSettings
    adapter: Artifact
    base: Artifact
    qa: Artifact
    gguf: Artifact
    base_name: str
    run_name: str
    seed: int
    scratch: str
    counter: Counter


def run(context: StageContext) -> StageOutcome:
    """Write ``gguf/``: the quantised model, imatrix.gguf and parity.json."""
    config, settings = context.config, context.config.convert
    base_model = config.base_model
    with context.progress.track("steps", len(_STEPS)) as counter:
        work = _Work(
            settings,
            **{name: context.inputs[name] for name in ("adapter", "base", "qa")},
            gguf=context.outputs["gguf"],
            base_name=base_model.name_or_path if base_model.source == "pretrained" else "Lectern",
            run_name=config.run.name,
            seed=config.run.seed,
            scratch=context.scratch,
            counter=counter,
        )
        compute = settings.compute
        metrics = on_cluster(_convert, work, num_cpus=compute.num_cpus, num_gpus=compute.num_gpus)
    table = [
        (name.replace("_", " "), f"{check['value']:.4g}", f"{check['comparison']} {check['limit']:g}")
        for name, check in metrics["parity"].items()
    ]
    return StageOutcome({"gguf": 1}, {}, metrics, table=table)


def _convert(work: _Work) -> dict[str, Any]:
    """The whole stage, on one node; returns the figures for the manifest."""
    with local_scratch(work.scratch) as scratch:
        merged, f16 = _merge_and_write(work, scratch)
        return _quantize_and_check(work, scratch, merged, f16)


def _merge_and_write(work: _Work, scratch: Path) -> tuple[Path, Path]:
    """Folder of the merged model, and the same model as F16 GGUF."""
    from qa_core.quantization.convert import merge_adapter, write_gguf
    from qa_core.training.base_model import model_location

    base, adapter = work.base.local(), work.adapter.local()
    merged = once(scratch / "merged", lambda out: merge_adapter(model_location(base), adapter, out))
    work.counter.advance()
    f16 = once(scratch / "model-f16.gguf", lambda out: write_gguf(merged, out, "f16", f"Lectern {work.run_name}"))
    work.counter.advance()
    return merged, f16


def _quantize_and_check(work: _Work, scratch: Path, merged: Path, f16: Path) -> dict[str, Any]:
    """Fill the artifact; a failed check leaves parity.json in the scratch folder and the artifact unpublished."""
    from qa_core.generation.gguf_header import read_header
    from qa_core.generation.model_file import IMATRIX_FILE
    from qa_core.quantization import parity
    from qa_core.quantization.calibration import calibration_rows, turns
    from qa_core.quantization.convert import gguf_name
    from qa_core.quantization.imatrix import ImportanceMatrix, collect
    from qa_core.quantization.quantize import quantize

    settings, n_threads = work.settings, work.settings.compute.n_threads
    qa = work.qa.read_table(["qa_id", "split", "context_chunk_ids", "messages"])

    def rows(split: str) -> list[list[int]]:
        return calibration_rows(
            merged, qa, split=split, rows=settings.calibration_rows, length=settings.calibration_length
        )

    matrix_file = once(scratch / IMATRIX_FILE, lambda out: collect(merged, rows("train"), n_threads).save(out))
    work.counter.advance()
    name = gguf_name(work.base_name, work.run_name, read_header(f16).num_weights, settings.quantization)
    matrix = ImportanceMatrix.load(matrix_file)
    model = once(scratch / name, lambda out: quantize(f16, out, settings.quantization, matrix, n_threads))
    work.counter.advance()
    report = parity.check(
        merged, f16, model, turns(qa), rows("validation"), settings.parity,
        seed=work.seed, n_threads=n_threads, out=scratch / "parity.json",
    )  # fmt: skip
    work.counter.advance()
    with work.gguf.staging() as folder:
        for file in (model, matrix_file, scratch / "parity.json"):
            shutil.copyfile(file, folder / file.name)
    return _figures(model, f16, report)


def _figures(model: Path, f16: Path, report: dict[str, Any]) -> dict[str, Any]:
    from qa_core.generation.gguf_header import read_header

    header = read_header(model)
    size = model.stat().st_size
    return {
        "file": model.name,
        "bytes": size,
        "bits_per_weight": round(header.bits_per_weight, 3),
        "size_of_f16": round(size / f16.stat().st_size, 4),
        "size_of_f32": round(size / (4 * header.num_weights), 4),
        "tensor_types": header.tensor_types,
        "mean_kld": report["checks"]["quantized_kld"]["value"],
        "f16_argmax_agreement": report["checks"]["f16_argmax"]["value"],
        **report["measured"],
        "parity": report["checks"],
    }

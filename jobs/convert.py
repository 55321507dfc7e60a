"""adapter + base -> merged -> F16 GGUF -> calibration -> quantised GGUF, behind a parity gate.

One Ray task does it all, because every step reads the file of the step before; several share the calibration alone.
Finished files in the scratch folder are kept, so a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.fs as pafs

from jobs.console import aligned
from jobs.model_copies import ModelCopies
from jobs.progress import Counter
from jobs.ray_session import on_cluster
from jobs.scratch import local_scratch, require_space
from jobs.stages import StageContext, StageOutcome
from qa_core.artifacts import Artifact
from qa_core.config import ConvertSettings

if TYPE_CHECKING:
    from qa_core.quantization.description import Description
    from qa_core.quantization.parity_report import ParityReport

_STEPS = ("merge", "convert", "calibrate", "quantise", "parity")
_FAILED = "gguf_failed"
"""Where the files of a failed conversion are kept; it never gets a manifest, so nothing takes it for an artifact."""


@dataclass(frozen=True)
class _Work:
    """What the task needs, and nothing of the driver."""

    settings: ConvertSettings
    inputs: dict[str, Artifact]
    gguf: Artifact
    base_name: str
    run_name: str
    seed: int
    scratch: str
    counter: Counter


def run(context: StageContext) -> StageOutcome:
    """Write ``gguf/``: the quantised model, its matrix, the adapter alone, two reports, a card and a Modelfile."""
    from qa_core.quantization.parity_report import ParityFailed

    config, settings = context.config, context.config.convert
    base_model = config.base_model
    with context.progress.track("steps", len(_STEPS)) as counter:
        work = _Work(
            settings,
            dict(context.inputs),
            gguf=context.outputs["gguf"],
            base_name=base_model.name_or_path if base_model.source == "pretrained" else "Lectern",
            run_name=config.run.name,
            seed=config.run.seed,
            scratch=context.scratch,
            counter=counter,
        )
        compute = settings.compute
        metrics, report = on_cluster(_convert, work, num_cpus=compute.num_cpus, num_gpus=compute.num_gpus)
    if report.failure:
        for line in aligned(report.table):
            context.progress.console.print(f"    {line}")
        kept = f"{work.gguf.store.uri}/{_FAILED}"
        raise ParityFailed(f"the parity gate refuses the model: {report.failure}. Its files are in {kept}")
    return StageOutcome({"gguf": 1}, {}, metrics, table=report.table)


def _convert(work: _Work) -> tuple[dict[str, Any], ParityReport]:
    """The whole stage, on one node; returns the figures for the manifest, and whether the gate let it pass."""
    with local_scratch(work.scratch) as scratch:
        copies = ModelCopies(work.inputs, work.settings, scratch, _description(work))
        files = 2 if work.settings.base_file else 1
        require_space(scratch, files * copies.bytes_needed(work.settings.quantization))
        for step in (copies.folder, copies.f16, copies.matrix):
            step("tuned")
            work.counter.advance()
        quantized = copies.quantized("tuned", work.settings.quantization)
        work.counter.advance()
        report = _check(work, copies, quantized)
        work.counter.advance()
        return {"file": _hand_over(work, copies, quantized, report), **_figures(quantized, report)}, report


def _description(work: _Work) -> Description:
    from qa_core.quantization.description import Description
    from qa_core.training.base_model import model_location

    card = Path(model_location(work.inputs["base"].local())) / "README.md"
    return Description.of_run(work.base_name, work.run_name, card)


def _check(work: _Work, copies: ModelCopies, quantized: Path) -> ParityReport:
    from qa_core.quantization import parity
    from qa_core.quantization.calibration import held_out

    folder = copies.folder("tuned")
    return parity.check(
        folder, copies.f16("tuned"), quantized, held_out(folder, *copies.tables(), work.settings),
        work.settings.parity, seed=work.seed, n_threads=work.settings.compute.n_threads,
        out=copies.scratch / "parity.json",
    )  # fmt: skip


def _hand_over(work: _Work, copies: ModelCopies, quantized: Path, report: ParityReport) -> str:
    """Fill the artifact, or put the files of a failed conversion aside; returns the name of the model's file."""
    from qa_core.quantization.calibration import calibration_report

    calibration = calibration_report(copies.folder("tuned"), *copies.tables(), work.settings)
    report.record(terms_seen_in_calibration=calibration["share_seen"])
    failed = Artifact(_FAILED, work.gguf.store)
    failed.remove()
    if not report.failure:
        with work.gguf.staging() as folder:
            return _fill(folder, work, copies, quantized, report, calibration)
    failed.clear_staging()
    with failed.staging() as folder:
        name = _fill(folder, work, copies, quantized, report, calibration)
    _move(failed)
    return name


def _fill(
    folder: Path, work: _Work, copies: ModelCopies, quantized: Path, report: ParityReport, calibration: dict[str, Any]
) -> str:
    """Write everything that belongs beside the model, and the model, into ``folder``."""
    from qa_core.generation.gguf_header import read_header
    from qa_core.generation.model_file import ADAPTER_FILE, BASE_FILE, IMATRIX_FILE
    from qa_core.quantization.card import write_card
    from qa_core.quantization.description import Description
    from qa_core.quantization.lora_gguf import write_lora_gguf

    description = _description(work)
    name = description.file_name(read_header(quantized).num_weights, work.settings.quantization)
    shutil.copyfile(quantized, folder / name)
    shutil.copyfile(copies.matrix("tuned"), folder / IMATRIX_FILE)
    shutil.copyfile(report.path, folder / "parity.json")
    write_lora_gguf(copies.folder("base"), work.inputs["adapter"].local(), folder / ADAPTER_FILE, description)
    if work.settings.base_file:
        base = Description(description.base_model or "Lectern", license=description.license)
        quantized_base = replace(copies, description=base).quantized("base", work.settings.quantization)
        shutil.copyfile(quantized_base, folder / BASE_FILE)
    (folder / "calibration.json").write_text(json.dumps(calibration, indent=2) + "\n", encoding="utf-8")
    write_card(folder / name, description, report, work.settings.rounding)
    return name


def _move(artifact: Artifact) -> None:
    """From the staging folder to where a person looks; object stores have no rename."""
    filesystem = artifact.filesystem
    filesystem.create_dir(artifact.path, recursive=True)
    pafs.copy_files(
        artifact.staging_path, artifact.path, source_filesystem=filesystem, destination_filesystem=filesystem
    )
    filesystem.delete_dir(artifact.staging_path)


def _figures(quantized: Path, report: ParityReport) -> dict[str, Any]:
    from qa_core.generation.gguf_header import read_header

    header, size = read_header(quantized), quantized.stat().st_size
    return {
        "bytes": size,
        "bits_per_weight": round(header.bits_per_weight, 3),
        "size_of_bf16": round(size / (2 * header.num_weights), 4),
        "size_of_f32": round(size / (4 * header.num_weights), 4),
        "tensor_types": header.tensor_types,
        **report.figures,
    }

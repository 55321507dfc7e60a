"""GGUF files of the base and of the tuned model, each made once in a scratch folder.

Conversion publishes one of them; evaluation asks those that lack the tuning or the 4 bits the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from jobs.scratch import once
from qa_core.artifacts import Artifact
from qa_core.config import SERVED, ConvertSettings

if TYPE_CHECKING:
    from qa_core.quantization.description import Description
    from qa_core.quantization.moments import InputMoments

Weights = Literal["base", "tuned"]


@dataclass(frozen=True)
class ModelCopies:
    """The one way from weights to a file. What a run before this one finished is not made again."""

    inputs: Mapping[str, Artifact]
    """``base``, ``adapter`` (for ``tuned``), and ``qa`` and ``chunks`` (for the calibration)."""
    settings: ConvertSettings
    scratch: Path
    description: Description | None = None

    def folder(self, weights: Weights) -> Path:
        """Hugging Face folder in 16 bits; the adapter is merged in for ``tuned``."""
        from qa_core.quantization.convert import merge_adapter
        from qa_core.training.base_model import model_location

        base = model_location(self.inputs["base"].local())
        if weights == "base":
            return Path(base)
        adapter = self.inputs["adapter"].local()
        return once(self.scratch / "tuned", lambda out: merge_adapter(base, adapter, out))

    def bytes_needed(self, quantization: str) -> int:
        """Room for the merged folder, the F16 file, the moments, the quantised file and its published copy."""
        from qa_core.quantization.sizes import moments_bytes, predicted_bytes

        base = self.folder("base")
        weights = sum(file.stat().st_size for file in base.glob("*.safetensors"))
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        moments = moments_bytes(config, self.settings.full_moments)
        return 2 * weights + moments + 2 * predicted_bytes(config, quantization)

    def f16(self, weights: Weights) -> Path:
        from qa_core.quantization.convert import write_gguf

        return once(
            self.scratch / f"{weights}-f16.gguf",
            lambda out: write_gguf(self.folder(weights), out, "f16", self.description, self.settings.compute.n_threads),
        )

    def moments(self, weights: Weights) -> Path:
        """What the inputs of each layer are like, gathered by ``settings.compute.num_workers`` Ray tasks at once."""
        return once(self.scratch / f"{weights}-moments.safetensors", lambda out: self._gathered(weights).save(out))

    def matrix(self, weights: Weights) -> Path:
        """The importance matrix, which is the diagonal of the moments, as llama.cpp reads it."""
        from qa_core.quantization.moments import InputMoments

        return once(
            self.scratch / f"{weights}-imatrix.gguf",
            lambda out: InputMoments.load(self.moments(weights)).importance.save(out),
        )

    def quantized(self, weights: Weights, quantization: str) -> Path:
        """A base is quantised just as the tuned model is: in the same type, with moments from the same rows."""
        f16, moments = self.f16(weights), self.moments(weights)
        return once(
            self.scratch / f"{weights}-{quantization}.gguf",
            lambda out: self._quantize(f16, moments, quantization, out),
        )

    def served_or_copy(self, name: str) -> Path:
        """``base-16bit``, ``base-4bit``, ``tuned-16bit``, or the published file of the served model, ``tuned-4bit``."""
        from qa_core.generation.model_file import model_file

        if name == SERVED:
            return model_file(self.inputs["gguf"].local())
        weights: Weights = "tuned" if name.startswith("tuned") else "base"
        return self.f16(weights) if name.endswith("16bit") else self.quantized(weights, self.settings.quantization)

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """The rows and the chunks that calibration reads."""
        qa = self.inputs["qa"].read_table(["qa_id", "doc_id", "split", "question", "context_chunk_ids", "messages"])
        return qa, self.inputs["chunks"].read_table()

    def _gathered(self, weights: Weights) -> InputMoments:
        from qa_core.quantization.calibration import calibration_rows

        rows = calibration_rows(self.folder(weights), *self.tables(), self.settings)
        return gather(self, weights, rows)

    def _quantize(self, f16: Path, moments: Path, quantization: str, out: Path) -> None:
        from qa_core.quantization.moments import InputMoments
        from qa_core.quantization.quantize import quantize_calibrated

        settings = self.settings
        quantize_calibrated(
            f16, out, quantization, InputMoments.load(moments), settings.rounding, settings.compute.n_threads
        )


def gather(copies: ModelCopies, weights: Weights, rows: Sequence[Sequence[int]]) -> InputMoments:
    """The moments over ``rows``, a share of them in each worker; this process, which holds a GPU or a CPU, is one.

    Sums add up exactly, so neither the number of shares nor their order matters.
    """
    import ray

    compute = copies.settings.compute
    shares = [rows[start :: compute.num_workers] for start in range(min(compute.num_workers, len(rows)))]
    task = ray.remote(num_cpus=compute.num_cpus, num_gpus=compute.num_gpus)(_share)
    others = [task.remote(copies, weights, share) for share in shares[1:]]
    total = _share(copies, weights, shares[0])
    while others:  # one at a time: for a large model each part has gigabytes
        total = total.merge(ray.get(others.pop()))
    return total


def _share(copies: ModelCopies, weights: Weights, rows: Sequence[Sequence[int]]) -> InputMoments:
    """On whatever node this is: where the scratch folder is not shared, it gets a merged model too."""
    from qa_core.quantization.moments import collect

    copies.scratch.mkdir(parents=True, exist_ok=True)
    settings = copies.settings
    return collect(copies.folder(weights), rows, settings.compute.n_threads, settings.full_moments)

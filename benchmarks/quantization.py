"""What calibration is worth, and what conversion and quantisation cost.

    python -m benchmarks.quantization [--run runs/tiny] [--large]

Reads a finished run: its base, adapter, chunks and rows. Three files of equal types and equal bytes, but for what they
say about the matrix, are compared with the 16-bit file on the validation and test conversations, which neither training
nor calibration saw: llama.cpp's rounding without an importance matrix, with it, and with it and GPTQ, as Lectern
publishes. Ratios are to the first; intervals are 95% bootstraps over conversations. One quantisation is one throw of
the dice for a small model, so they are also given for other types and for the base model, which is not tuned, and their
geometric means.

``--large`` makes a random model in the shape of Qwen2.5-3B (6 GB, and as much again for the GGUF) and times it. The
time of llama.cpp's own program is null unless llama-quantize is on the PATH; with llama-imatrix there, the matrices are
compared too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.conversion import against_llama_imatrix, large, rounded, speed
from benchmarks.kld_ratio import ratios
from jobs.model_copies import ModelCopies, Weights, gather
from jobs.ray_session import ray_session
from qa_core.artifacts import RunStore
from qa_core.config import ConvertCompute, ConvertSettings
from qa_core.quantization.calibration import calibration_rows
from qa_core.quantization.moments import InputMoments, collect
from qa_core.quantization.reference import load_tokenizer
from qa_core.training.sft import encode

THREADS = 2
MEASURED: tuple[tuple[Weights, str], ...] = (
    ("tuned", "Q4_K_M"), ("tuned", "Q4_K_S"), ("tuned", "IQ4_XS"), ("base", "Q4_K_M"),
)  # fmt: skip
WORKERS = (1, 2, 4)


def main() -> None:
    arguments = _parse()
    store = RunStore.open(str(arguments.run.parent), arguments.run.name)
    inputs = {name: store.artifact(name) for name in ("base", "adapter", "qa", "chunks")}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        copies = ModelCopies(inputs, ConvertSettings(compute=ConvertCompute(n_threads=THREADS)), Path(folder))
        figures |= _same_from_any_workers(copies)
        figures |= _what_calibration_is_worth(copies)
        figures |= speed(copies.f16("tuned"), Path(folder), "small", THREADS)
        text = "\n\n".join(copies.tables()[1].column("text").to_pylist())
        figures |= against_llama_imatrix(copies.folder("tuned"), copies.f16("tuned"), text, Path(folder), THREADS)
        if arguments.large:
            figures |= large(Path(folder), THREADS)
    headline = {
        "kld_ratio": figures["kld_ratio"],
        "kld_ratio_terms": figures["kld_ratio_terms"],
        "peak_rss_gb": figures.get("peak_rss_gb"),
        "time_ratio_to_llamacpp": figures.get("time_ratio_large", figures["time_ratio_small"]),
    }
    print(json.dumps(figures))
    print(json.dumps(headline))


def _same_from_any_workers(copies: ModelCopies) -> dict[str, float]:
    """Largest relative difference of any number in the moments of one worker and of more."""
    rows = calibration_rows(copies.folder("tuned"), *copies.tables(), copies.settings)
    with ray_session():
        first, *others = [gather(_with_workers(copies, workers), "tuned", rows) for workers in WORKERS]
    differences = [
        float(np.max(np.abs(other.sums[name] - total) / np.maximum(np.abs(total), np.finfo(np.float32).tiny)))
        for other in others
        for name, total in first.sums.items()
    ]
    print(f"moments from {', '.join(map(str, WORKERS))} workers: largest relative difference {max(differences):g}")
    return {"workers_difference": max(differences)}


def _with_workers(copies: ModelCopies, workers: int) -> ModelCopies:
    compute = ConvertCompute(num_workers=workers, num_cpus=0.5, n_threads=1)
    settings = copies.settings.model_copy(update={"compute": compute})
    return ModelCopies(copies.inputs, settings, copies.scratch)


def _what_calibration_is_worth(copies: ModelCopies) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    rows = _held_out_rows(copies)
    for weights, kind in MEASURED:
        figures[f"{weights}_{kind}"] = measured = ratios(
            copies, weights, kind, _moments(copies, weights), rows, THREADS
        )
        print(weights, kind, json.dumps(measured), flush=True)
    tuned = figures["tuned_Q4_K_M"]
    means = {
        f"mean_{name}": rounded(float(np.exp(np.mean([np.log(measured[name][0]) for measured in figures.values()]))))
        for name in ("ratio", "ratio_matrix")
    }
    return figures | means | {"kld_ratio": tuned["ratio"][0], "kld_ratio_terms": tuned["ratio_terms"][0]}


def _moments(copies: ModelCopies, weights: Weights) -> InputMoments:
    rows = calibration_rows(copies.folder(weights), *copies.tables(), copies.settings)
    return collect(copies.folder(weights), rows, THREADS, copies.settings.full_moments)


def _held_out_rows(copies: ModelCopies) -> list[list[int]]:
    """Every validation and test conversation, cut like those of the gate."""
    tokenizer, (qa, _) = load_tokenizer(copies.folder("tuned")), copies.tables()
    held = [row["messages"] for row in qa.sort_by("qa_id").to_pylist() if row["split"] in ("validation", "test")]
    return [encode(tokenizer, messages).input_ids[: copies.settings.calibration_length] for messages in held]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/tiny"), metavar="FOLDER")
    parser.add_argument("--scratch", type=Path, metavar="FOLDER", help="for large files; the system's when left out")
    parser.add_argument("--large", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""How much nearer to its 16-bit file calibration brings a quantised one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.conversion import rounded
from jobs.model_copies import ModelCopies, Weights
from qa_core.generation.llama import LlamaModel
from qa_core.quantization.divergence import TokenDivergence, token_divergence
from qa_core.quantization.gptq import round_again
from qa_core.quantization.moments import InputMoments
from qa_core.quantization.quantize import quantize

_BOOTSTRAPS = 1000


def ratios(
    copies: ModelCopies, weights: Weights, kind: str, moments: InputMoments, rows: Sequence[Sequence[int]], threads: int
) -> dict[str, Any]:
    """Mean KLD of each way over that of the plain one, with its interval, at all tokens and at terms alone."""
    f16 = copies.f16(weights)
    files = {way: copies.scratch / f"{weights}-{kind}-{way}.gguf" for way in ("plain", "matrix", "gptq")}
    quantize(f16, files["plain"], kind, None, threads)
    quantize(f16, files["matrix"], kind, moments.importance, threads)
    started = time.perf_counter()
    shutil.copyfile(files["matrix"], files["gptq"])
    round_again(f16, files["gptq"], moments, threads)
    seconds = time.perf_counter() - started
    measured = {way: _divergences(f16, file, rows, threads) for way, file in files.items()}
    plain = measured["plain"]
    return {
        **{f"kld_{way}": rounded(np.concatenate([row.kld for row in own]).mean()) for way, own in measured.items()},
        "ratio_matrix": _interval(measured["matrix"], plain, terms=False),
        "ratio": _interval(measured["gptq"], plain, terms=False),
        "ratio_terms": _interval(measured["gptq"], plain, terms=True),
        **{
            f"same_top_{way}": rounded(np.concatenate([row.same_top for row in own]).mean())
            for way, own in measured.items()
        },
        "bytes": [file.stat().st_size for file in files.values()],
        "gptq_s": rounded(seconds),
    }


def _divergences(f16: Path, file: Path, rows: Sequence[Sequence[int]], threads: int) -> list[TokenDivergence]:
    with closing(LlamaModel(f16)) as original, closing(LlamaModel(file)) as other:
        return list(token_divergence(original, other, rows, threads))


def _interval(one: Sequence[TokenDivergence], other: Sequence[TokenDivergence], terms: bool) -> list[float]:
    """Ratio of the means and its bounds."""
    sums = np.array([[_sum(a, terms), _sum(b, terms)] for a, b in zip(one, other, strict=True)])
    draw = np.random.default_rng(0)
    drawn = sums[draw.integers(0, len(sums), (_BOOTSTRAPS, len(sums)))].sum(axis=1)
    bounds = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return [rounded(sums[:, 0].sum() / sums[:, 1].sum()), *map(rounded, bounds)]


def _sum(row: TokenDivergence, terms: bool) -> float:
    values: npt.NDArray[np.float64] = row.kld[row.is_term] if terms else row.kld
    return float(values.sum())

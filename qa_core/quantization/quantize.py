"""Quantising a GGUF file with llama.cpp, weighted by an importance matrix and rounded by GPTQ."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np

from qa_core.config import Rounding
from qa_core.errors import UserError
from qa_core.generation.gguf_model import read_model_header
from qa_core.generation.llama import library
from qa_core.generation.model_file import IMATRIX_FILE
from qa_core.quantization.gptq import round_again
from qa_core.quantization.imatrix import ImportanceMatrix
from qa_core.quantization.moments import InputMoments


def quantize_calibrated(
    f16: Path, out: Path, quantization: str, moments: InputMoments, rounding: Rounding, n_threads: int
) -> None:
    """As :func:`quantize` does with the importance matrix of ``moments``, and then rounded as ``rounding`` says."""
    quantize(f16, out, quantization, moments.importance, n_threads)
    if rounding == "gptq":
        round_again(f16, out, moments, n_threads)


def quantize(f16: Path, out: Path, quantization: str, matrix: ImportanceMatrix | None, n_threads: int) -> None:
    """Write ``f16`` with the tensor types of ``quantization`` (such as ``Q4_K_M``) to ``out``.

    The bytes are the same for any number of threads: each row of weights is rounded alone.
    """
    read_model_header(f16)
    llama = library()
    kind = getattr(llama, f"LLAMA_FTYPE_MOSTLY_{quantization}", None)
    if kind is None:
        raise UserError(f"convert.quantization={quantization!r} is not known to llama.cpp", "Use Q4_K_M.")
    params = llama.llama_model_quantize_default_params()
    params.ftype, params.nthread = kind, n_threads
    keep: list[Any] = []  # C reads these objects until the call returns
    if matrix is not None:
        params.imatrix = _imatrix_entries(llama, matrix, keep)
        params.kv_overrides = _provenance(llama, matrix, keep)
    if status := llama.llama_model_quantize(str(f16).encode(), str(out).encode(), ctypes.byref(params)):
        out.unlink(missing_ok=True)
        raise RuntimeError(f"llama.cpp could not write {out} ({status}): is the disk full? Its reasons are in the log")


def _imatrix_entries(llama: Any, matrix: ImportanceMatrix, keep: list[Any]) -> Any:
    """An array of (name, mean of x^2, size) that a zero entry ends."""
    means = matrix.means
    entries = (llama.llama_model_imatrix_data * (len(means) + 1))()
    for entry, (name, values) in zip(entries, means.items(), strict=False):
        values = np.ascontiguousarray(values, np.float32)
        entry.name, entry.size = name.encode(), values.size
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        keep.append(values)
    keep.append(entries)
    return entries


def _provenance(llama: Any, matrix: ImportanceMatrix, keep: list[Any]) -> Any:
    """What the quantised file says about its matrix, under the keys of llama-quantize; a zero entry ends the array."""
    facts: dict[str, str | int] = {
        "quantize.imatrix.file": IMATRIX_FILE,
        "quantize.imatrix.entries_count": len(matrix.sums),
        "quantize.imatrix.chunks_count": matrix.num_rows,
    }
    overrides = (llama.llama_model_kv_override * (len(facts) + 1))()
    for override, (key, value) in zip(overrides, facts.items(), strict=False):
        override.key = key.encode()
        if isinstance(value, str):
            override.tag = llama.LLAMA_KV_OVERRIDE_TYPE_STR
            override.value.val_str = value.encode()
        else:
            override.tag = llama.LLAMA_KV_OVERRIDE_TYPE_INT
            override.value.val_i64 = value
    keep.append(overrides)
    return overrides

"""Rounding float32 to the 16-bit formats; bfloat16 is carried as uint16, because numpy has no such type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from qa_core.errors import UserError


def encode(values: npt.NDArray[np.float32], dtype: str, name: str) -> npt.NDArray[Any]:
    """``values`` as F32, F16 or BF16, to the nearest with ties to even.

    A value too large for F16 is a :class:`UserError` that names the tensor ``name``.
    """
    if dtype == "F32":
        return values
    if dtype == "BF16":
        bits = values.view(np.uint32)
        return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise UserError(f"a value of {name} does not fit into float16", "Convert by way of bf16 or f32.")
    return rounded

"""The number formats of weights: float32, the two 16-bit formats, and llama.cpp's 8-bit blocks.

bfloat16 is carried as uint16, because numpy has no such type. torch does the rounding, six times as fast as numpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch

from qa_core.errors import UserError
from qa_core.floats import is_finite

_TORCH = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

Q8_0_BLOCK = 32
"""Weights that share a scale."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Convert small blocks with one thread: beside busy neighbours, two that wait for each other took thirty times the
    processor's time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def decode(raw: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[np.float32]:
    """Bytes of F32, F16 or BF16 -> values, flat. Both half-precision types are subsets of float32, so this is exact."""
    if dtype == "F32":
        return raw.view(np.float32)
    values: npt.NDArray[np.float32] = torch.from_numpy(raw.view(np.uint16)).view(_TORCH[dtype]).float().numpy()
    return values


def encode(values: npt.NDArray[np.float32], dtype: str, name: str) -> npt.NDArray[Any]:
    """``values`` as F32, F16 or BF16, to the nearest with ties to even, or as the bytes of Q8_0.

    Values that are no finite numbers, or too large for F16, are a :class:`UserError` that names the tensor ``name``.
    """
    if dtype == "Q8_0":
        require_finite(values.view(np.uint8), "F32", name)
        return gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    rounded = torch.from_numpy(values).to(_TORCH[dtype]).view(torch.int32 if dtype == "F32" else torch.int16).numpy()
    if not is_finite(rounded.view(np.uint8), dtype):
        require_finite(values.view(np.uint8), "F32", name)
        raise UserError(f"a value of {name} does not fit into float16", "Convert by way of bf16 or f32.")
    return rounded.view(np.float32 if dtype == "F32" else np.uint16)


def require_finite(raw: npt.NDArray[np.uint8], dtype: str, name: str) -> None:
    if not is_finite(raw, dtype):
        raise UserError(
            f"tensor {name} holds NaN or infinite values", "Train again, or fetch the model again: it cannot answer."
        )

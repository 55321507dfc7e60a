"""Bits of the floating-point formats that weights are stored in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ITEMS = {"F32": np.uint32, "F16": np.uint16, "BF16": np.uint16}
_INFINITY = {"F32": 0x7F800000, "F16": 0x7C00, "BF16": 0x7F80}
"""Bits of infinity; above them, the sign left out, are the NaNs."""


def is_finite(raw: npt.NDArray[np.uint8], dtype: str) -> bool:
    """No value among the bytes ``raw``, which are F32, F16 or BF16, is NaN or infinite."""
    bits = raw.reshape(-1).view(_ITEMS[dtype])
    sign = bits.dtype.type(1 << (8 * bits.itemsize - 1))
    return not len(bits) or bool((bits & ~sign).max() < _INFINITY[dtype])

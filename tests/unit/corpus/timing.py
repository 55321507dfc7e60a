"""Whether work grows with the size of its input and not with its square, told on a busy machine."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

_TRIES = 3
_SLACK = 3
"""Quadratic work takes eight times as long again when the input is eight times as long; linear work never three."""


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """``work(8 * size)`` takes about eight times as long as ``work(size)``; the fastest of a few tries counts."""
    small = min(_seconds(work, size) for _ in range(_TRIES))
    bound, large = 8 * _SLACK * small + 0.1, []
    while len(large) < _TRIES and min(large, default=bound) >= bound:
        large.append(_seconds(work, 8 * size))
    assert min(large) < bound, f"{size}: {small:.4f} s, {8 * size}: {min(large):.4f} s"


def _seconds(work: Callable[[int], object], size: int) -> float:
    """Processor time; the collector of a large test process would add its own."""
    gc.disable()
    started = time.process_time()
    try:
        work(size)
    finally:
        gc.enable()
    return time.process_time() - started

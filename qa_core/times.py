"""Lengths of time as a person says them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """``45 s``, ``35 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def seconds_each(seconds: float) -> str:
    """``0.62 s``, ``2.1 s`` or ``14 s``: two digits, for what is multiplied by a count."""
    return f"{seconds:.{2 if seconds < 1 else 1 if seconds < 10 else 0}f} s"

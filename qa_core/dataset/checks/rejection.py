"""Why something a teacher said is no row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rejection:
    """The verdict of a check that failed."""

    stage: str
    """The step of the funnel: a name of ``dataset.funnel.STEPS``."""
    reason: str
    """What is counted: a name from a closed list, such as ``number_not_in_evidence``."""
    detail: str = ""
    """What exactly, such as the number; a teacher that is asked again reads it."""

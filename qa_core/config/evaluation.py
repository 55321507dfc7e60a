"""How answers are measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from qa_core.config.section import Section

SERVED = "tuned-4bit"
"""The model that is served."""


class EvalCompute(Section):
    num_cpus: float = Field(1.0, gt=0)
    num_gpus: float = Field(0.0, ge=0)


class EvalSettings(Section):
    modes: tuple[Literal["standalone", "rag"], ...] = ("standalone", "rag")
    compare: tuple[Literal["base-16bit", "base-4bit", "tuned-16bit"], ...] = ()
    """Copies of the model that answer the same questions, to show what tuning and 4 bits add."""
    max_rows: int | None = Field(None, ge=1)
    """Most test rows, taken evenly over papers; all of them when empty."""
    bootstrap_samples: int = Field(1000, ge=100)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    compute: EvalCompute = EvalCompute()

    @field_validator("modes", "compare")
    @classmethod
    def _no_name_twice(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("must not name anything twice")
        return names

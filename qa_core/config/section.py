"""What every group of settings is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, protected_namespaces=())


class DataCompute(Section):
    """Where a Ray Data stage runs."""

    num_workers: int = Field(2, ge=1)
    """Most tasks or actors at once."""
    cpus_per_worker: float = Field(0.5, gt=0)
    gpus_per_worker: float = Field(0.0, ge=0)
    batch_size: int = Field(32, ge=1)
    """Rows handed to a worker at a time."""

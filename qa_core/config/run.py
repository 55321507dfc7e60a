"""Which run it is."""

from __future__ import annotations

from pydantic import Field

from qa_core.config.section import Section


class RunSettings(Section):
    name: str = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Folder of this run below ``storage``."""
    storage: str = "runs"
    """A local folder or a pyarrow filesystem URI (``s3://bucket/prefix``, ``gs://...``)."""
    seed: int = Field(17, ge=0, lt=2**31)
    """The only source of randomness of every stage."""

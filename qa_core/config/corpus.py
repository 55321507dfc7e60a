"""Papers to chunks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from qa_core.config.embedding import SentenceTransformersEmbedder
from qa_core.config.section import Section


class StructuralSegmentation(Section):
    """Sections and blocks alone decide where a chunk may end."""

    method: Literal["structural"] = "structural"


class SemanticSegmentation(Section):
    """Inside a section a chunk ends where the similarity of neighbouring sentences drops."""

    method: Literal["semantic"]
    embedder: SentenceTransformersEmbedder = SentenceTransformersEmbedder()
    window: int = Field(2, ge=1)
    """Sentences on each side of a border that are compared."""
    depth: float = Field(1.0, ge=0)
    """Standard deviations by which a drop must exceed the section's mean drop."""


SegmentationSettings = Annotated[StructuralSegmentation | SemanticSegmentation, Field(discriminator="method")]


class ChunkCompute(Section):
    """Where papers are cut."""

    num_workers: int = Field(2, ge=1)
    """Most tasks at once."""
    cpus_per_worker: float = Field(0.5, gt=0)


class ChunkSettings(Section):
    papers: str = "papers"
    """Folder (or URI) that is searched for papers, sub-folders included."""
    max_tokens: int = Field(384, ge=32)
    """Budget of one chunk and its prefix in tokens of the base model's tokenizer; never exceeded."""
    overlap_tokens: int = Field(48, ge=0)
    """Sentences repeated from the end of the chunk before, up to this many tokens."""
    min_tokens: int = Field(16, ge=1)
    """Shorter chunks are rejected as ``too_short``, unless they are atomic (table, code, math, caption, footnote)."""
    segmentation: SegmentationSettings = StructuralSegmentation()
    near_duplicate_similarity: float = Field(0.65, gt=0, le=1)
    """Of two papers that share at least this share of their phrases, the shorter one is left out."""
    boilerplate_papers: int = Field(3, ge=0)
    """A paragraph or list that stands in at least this many papers is left out of all of them; 0 keeps every one."""
    compute: ChunkCompute = ChunkCompute()

    @model_validator(mode="after")
    def _boilerplate_is_shared(self) -> ChunkSettings:
        if self.boilerplate_papers == 1:
            raise ValueError("boilerplate_papers=1 would leave out every paragraph; give 0 or at least 2")
        return self

    @model_validator(mode="after")
    def _overlap_below_budget(self) -> ChunkSettings:
        if self.overlap_tokens * 2 > self.max_tokens:
            raise ValueError(
                f"overlap_tokens={self.overlap_tokens} must be at most half of max_tokens={self.max_tokens}"
            )
        return self

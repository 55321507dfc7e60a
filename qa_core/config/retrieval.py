"""Chunks to an index, a question to passages."""

from __future__ import annotations

from pydantic import Field, model_validator

from qa_core.config.embedding import SentenceTransformersEmbedder
from qa_core.config.section import DataCompute, Fraction, Section


class IndexSettings(Section):
    embedder: SentenceTransformersEmbedder = SentenceTransformersEmbedder()
    factory: str = "Flat"
    """A faiss ``index_factory`` string; inner product on unit vectors, that is cosine similarity."""
    compute: DataCompute = DataCompute(num_workers=1, cpus_per_worker=1.0, batch_size=64)


class RetrievalSettings(Section):
    top_k: int = Field(3, ge=1)
    """Passages that reach the prompt."""
    candidates: int = Field(12, ge=1)
    """Passages fetched from the index before ranking."""
    min_similarity: float = Field(0.0, ge=-1, le=1)
    """Passages less similar to the question are not read; where none is left, the answer is an abstention."""
    density_weight: Fraction = 0.02
    """Share of information density in the ranking score; the rest is cosine similarity. As small as this, it decides
    between passages that are almost equally similar; larger shares lost recall (`python -m benchmarks.density`)."""
    max_per_document: int = Field(3, ge=1)
    """Most passages of one paper among the ``top_k``."""
    context_tokens: int = Field(1200, ge=32)
    """Prompt budget for passages; lower-ranked passages are dropped first."""

    @model_validator(mode="after")
    def _candidates_cover_top_k(self) -> RetrievalSettings:
        if self.candidates < self.top_k:
            raise ValueError(f"candidates={self.candidates} must be at least top_k={self.top_k}")
        return self

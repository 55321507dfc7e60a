"""Passages of the papers: found, cited, traced; and embeddings."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from qa_core.schemas import Passage
from serving.schemas.base import ApiModel, Text

MOST_PASSAGES = 50
Question = Annotated[Text, Field(min_length=1, max_length=20_000)]
Abstention = Literal["no_passage_found", "not_in_the_passages"]
"""Why an answer says that the sources do not hold it: retrieval found nothing, or the model read and said so."""


class Selection(ApiModel):
    """Which passages are looked for."""

    k: int | None = Field(None, ge=1, le=MOST_PASSAGES)
    """Passages, instead of ``retrieval.top_k``."""
    documents: list[Text] | None = Field(None, min_length=1, max_length=1000)
    """Only papers with these sources, as citations name them."""


class RetrievalOptions(Selection):
    trace: bool | None = None
    """Tell what retrieval found and what became of it."""


class FoundPassage(ApiModel):
    """Characters are offsets in the paper's text."""

    chunk_id: str
    source: str
    title: str
    section_path: list[str]
    start_char: int
    end_char: int
    text: str

    @classmethod
    def from_passage(cls, passage: Passage, **others: object) -> Self:
        own = {name: getattr(passage, name) for name in FoundPassage.model_fields}
        return cls(**{**own, "section_path": list(passage.section_path), **others})


class Citation(FoundPassage):
    """The passage behind a mark ``[number]`` in the answer."""

    number: int
    supported: bool
    """Whether the sentences that carry the mark say what the passage says, as far as words can tell."""


class Statement(FoundPassage):
    """One of two sentences that disagree; characters and text are the sentence's."""

    number: int
    """Of its passage in the prompt."""
    differs: str
    """What it says where the other says something else; empty where it lacks the other's "not"."""


class SourceConflict(ApiModel):
    """What two papers say differently, as far as words can tell."""

    kind: Literal["number", "negation", "direction"]
    statements: list[Statement]
    """Two, the first from a passage that the answer cites."""


class ScoredPassage(FoundPassage):
    similarity: float
    """Cosine similarity with the question."""
    score: float
    """What it was ranked by: similarity and information density."""


class TracedPassage(ScoredPassage):
    number: int | None
    """In the prompt; null for one that the budget left out."""
    tokens: int
    text_cut: bool
    """Whether the prompt holds only its beginning."""


class SearchRequest(Selection):
    query: Question


class SearchResult(ApiModel):
    object: Literal["list"] = "list"
    data: list[ScoredPassage]


class PaperText(ApiModel):
    """A paper as it was indexed: its passages in reading order."""

    source: str
    title: str
    passages: list[FoundPassage]


class Paper(ApiModel):
    source: str
    title: str


class PaperList(ApiModel):
    object: Literal["list"] = "list"
    data: list[Paper]


class EmbeddingRequest(ApiModel):
    model: Text
    input: Question | Annotated[list[Question], Field(min_length=1, max_length=256)]
    encoding_format: Literal["float", "base64"] | None = None
    user: Text | None = None

    @property
    def texts(self) -> list[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class Embedding(ApiModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    """Numbers, or float32 little-endian bytes in base64."""


class EmbeddingUsage(ApiModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(ApiModel):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage

"""What an answer says about its sources: citations, abstention, and the trace of what retrieval found."""

from __future__ import annotations

from collections.abc import Sequence

from qa_core.generation.chat import ABSTENTION, cited_numbers, strip_citations
from qa_core.generation.support import marking_sentences, supports
from qa_core.schemas import Passage
from serving.schemas.retrieval import Abstention, Citation, TracedPassage


def cite(answer: str, passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """The passages that ``answer`` marks as ``[n]``, in order of first mention."""
    return tuple(_citation(answer, number, passages) for number in cited_numbers(answer, len(passages)))


def _citation(answer: str, number: int, passages: Sequence[Passage]) -> Citation:
    passage = passages[number - 1]
    sentences = marking_sentences(answer, number, len(passages))
    supported = bool(sentences) and all(supports(passage.text, sentence) for sentence in sentences)
    return Citation.from_passage(passage, number=number, supported=supported)


def abstention(answer: str, passages: Sequence[Passage]) -> Abstention | None:
    """Of a model that read ``passages``."""
    return "not_in_the_passages" if passages and strip_citations(answer) == ABSTENTION else None


def trace(retrieved: Sequence[Passage], kept: Sequence[Passage]) -> tuple[TracedPassage, ...]:
    """All that retrieval found, best first; ``kept``, its beginning, is what the prompt holds."""
    return tuple(
        TracedPassage.from_passage(
            passage,
            similarity=passage.similarity,
            score=passage.score,
            number=place + 1 if place < len(kept) else None,
            tokens=passage.num_tokens,
            text_cut=place < len(kept) and kept[place].text != passage.text,
        )
        for place, passage in enumerate(retrieved)
    )

"""What is told of an answer's sources: citations, conflicts, abstention, and the trace of what retrieval found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qa_core.generation.chat import ABSTENTION, cited_numbers, strip_citations
from qa_core.generation.conflicts import find_conflicts
from qa_core.generation.support import marking_sentences, supports
from qa_core.schemas import Passage
from serving.schemas.retrieval import Abstention, Citation, SourceConflict, Statement, TracedPassage


def cite(answer: str, passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """The passages that ``answer`` marks as ``[n]``, in order of first mention."""
    return tuple(_citation(answer, number, passages) for number in cited_numbers(answer, len(passages)))


def _citation(answer: str, number: int, passages: Sequence[Passage]) -> Citation:
    passage = passages[number - 1]
    sentences = marking_sentences(answer, number, len(passages))
    supported = bool(sentences) and all(supports(passage.text, sentence) for sentence in sentences)
    return Citation.from_passage(passage, number=number, supported=supported)


def conflicts(answer: str, passages: Sequence[Passage]) -> tuple[SourceConflict, ...]:
    """Where a passage that ``answer`` marks and one of another paper, which the model read too, disagree."""
    drawn_on = [number - 1 for number in cited_numbers(answer, len(passages))]
    return tuple(
        SourceConflict(
            kind=found.kind,
            statements=[
                _statement(passages[place], place + 1, span, differs)
                for place, span, differs in zip(found.passages, found.spans, found.differs, strict=True)
            ],
        )
        for found in find_conflicts(passages, drawn_on)
    )


def _statement(passage: Passage, number: int, span: tuple[int, int], differs: str) -> Statement:
    start, end = span
    return Statement.from_passage(
        replace(passage, start_char=passage.start_char + start, end_char=passage.start_char + end),
        number=number,
        text=passage.text[start:end],
        differs=differs,
    )


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

"""What a teacher proposes: a question, its answer and the passages' own words that show it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Quote:
    """Words copied from a source of the request."""

    passage: int
    """Number of the source, from 1."""
    text: str


@dataclass(frozen=True)
class Proposal:
    """One question with its answer, before any check."""

    question: str
    answer: str
    quotes: tuple[Quote, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def reply_text(proposals: list[Proposal]) -> str:
    """A reply in the form that ``prompts.response_schema`` asks for."""
    pairs = [
        {
            "question": proposal.question,
            "answer": proposal.answer,
            "evidence": [{"passage": quote.passage, "quote": quote.text} for quote in proposal.quotes],
        }
        for proposal in proposals
    ]
    return json.dumps({"pairs": pairs}, ensure_ascii=False)

"""What is asked next: enough requests of each type to meet its quota, spread over the papers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qa_core.config import GenerateQASettings, QuestionType
from qa_core.dataset.prompts import build_request, fit
from qa_core.dataset.quotas import draw, in_turns
from qa_core.dataset.requests import CountTokens, Request, Source

Chunk = Mapping[str, Any]

_ROWS_PER_QUESTION = 0.5
"""Accepted rows expected of one question that a language model was asked for, before any reply has told."""
_TEMPLATE_ROWS_PER_REQUEST = 0.03
"""The same for one request to the template teacher: most passages fit no rule, and asking them costs nothing."""
_MARGIN = 1.15
"""More is asked than the expected yield needs, as a round costs more than a few requests."""
_GROWTH = 3
"""Most requests of a round for each one asked before."""


@dataclass(frozen=True)
class Sites:
    """Where questions of each type can be asked, in the order in which they are: papers take turns."""

    of_type: Mapping[str, Sequence[tuple[Chunk, ...]]]

    @classmethod
    def of(
        cls, chunks: Sequence[Chunk], pairs: Sequence[tuple[Chunk, Chunk]], kinds: Sequence[str], seed: int
    ) -> Sites:
        """One order of chunks for all types: the requests about one passage can then follow each other. Of a paper's
        pairs the earlier ones come first."""
        single = [(chunk,) for chunk in in_turns(chunks, seed, _paper, lambda chunk: draw(seed, _id(chunk)))]
        ranked = enumerate(pairs)
        double = [pair for _, pair in in_turns(ranked, seed, lambda item: _paper(item[1][0]), lambda item: item[0])]
        return cls({kind: double if kind == "comparative" else single for kind in kinds})


@dataclass(frozen=True)
class Demand:
    """What a round has to bring."""

    missing: Mapping[str, int]
    """Rows of each type that the quota still lacks."""
    asked: Mapping[str, int] = field(default_factory=dict)
    """Sites of each type that were asked before; the next ones follow."""
    accepted: Mapping[str, int] = field(default_factory=dict)
    """Rows of each type that those brought, before any quota."""


def sites_to_ask(demand: Demand, sites: Sites, settings: GenerateQASettings) -> dict[str, int]:
    """How many more sites of each type have to be asked for what is missing, by what the earlier ones brought."""
    return {
        kind: min(len(places) - demand.asked.get(kind, 0), _wanted(demand, kind, expected_rows(settings)))
        for kind, places in sites.of_type.items()
    }


def expected_rows(settings: GenerateQASettings) -> float:
    """Accepted rows expected of one request before any reply has told."""
    if settings.teacher.engine == "template":
        return _TEMPLATE_ROWS_PER_REQUEST
    return _ROWS_PER_QUESTION * settings.questions_per_request


def _wanted(demand: Demand, kind: str, expected: float) -> int:
    missing = demand.missing.get(kind, 0)
    # One request of the expected yield is mixed in: a few poor replies are no measure yet.
    per_request = (demand.accepted.get(kind, 0) + expected) / (demand.asked.get(kind, 0) + 1)
    wanted = math.ceil(_MARGIN * missing / per_request)
    # Where hardly anything is accepted more of the same would be as bad: no round asks far more than all before it.
    return min(wanted, max(_GROWTH * demand.asked.get(kind, 0), math.ceil(_MARGIN * missing / expected)))


@dataclass(frozen=True)
class Unaskable:
    """A site whose prompt does not fit the teacher's context, whatever is cut."""

    question_type: str
    sources: tuple[Source, ...]


def build_requests(
    sites: Mapping[QuestionType, Sequence[tuple[Chunk, ...]]],
    settings: GenerateQASettings,
    identity: Mapping[str, Any],
    count_tokens: CountTokens | None,
) -> tuple[list[Request], list[Unaskable]]:
    """One request a site, sorted by source, and the sites that had to be left out.

    Args:
        identity: the teacher's settings without ``compute``.
        count_tokens: by the teacher's tokenizer; None for a teacher without a context limit.
    """
    requests, unaskable = [], []
    number = settings.questions_per_request
    for kind, places in sites.items():
        for place in places:
            sources: tuple[Source, ...] | None = tuple(Source.from_chunk(chunk) for chunk in place)
            if count_tokens is not None:
                sources = fit(kind, sources or (), number, prompt_budget(settings), count_tokens)
            if sources is None:
                unaskable.append(Unaskable(kind, tuple(Source.from_chunk(chunk) for chunk in place)))
            else:
                requests.append(build_request(kind, sources, teacher=dict(identity), num_questions=number))
    return by_source(requests), unaskable


def by_source(requests: Sequence[Request]) -> list[Request]:
    """``requests`` with those about one passage next to each other, paper by paper."""
    return sorted(
        requests,
        key=lambda request: (
            [(source.doc_id, source.start_char) for source in request.sources], request.question_type, request.attempt,
        ),
    )  # fmt: skip


def prompt_budget(settings: GenerateQASettings) -> int:
    """Tokens that a prompt may have in the teacher's context, beside the longest reply."""
    teacher = settings.teacher
    if teacher.engine == "template":
        raise ValueError("the template teacher has no context")
    return teacher.context_tokens - teacher.max_tokens


def _paper(chunk: Chunk) -> str:
    return chunk["doc_id"]


def _id(chunk: Chunk) -> str:
    return chunk["chunk_id"]

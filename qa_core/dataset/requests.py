"""What a teacher is asked: one request is one question type about one passage, or about two of different papers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from qa_core.corpus.sentences import sentence_spans
from qa_core.manifest import digest
from qa_core.schemas import Message

CountTokens = Callable[[str], int]


@dataclass(frozen=True)
class Source:
    """A passage as a teacher sees it."""

    chunk_id: str
    doc_id: str
    title: str
    kind: str
    prefix: str
    start_char: int
    """Of ``text``, in the document."""
    text: str

    @classmethod
    def from_chunk(cls, chunk: Mapping[str, Any]) -> Self:
        """From a row of ``CHUNKS``."""
        return cls(**{name: chunk[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Request:
    """A row of ``REQUESTS``."""

    request_id: str
    question_type: str
    attempt: int
    num_questions: int
    sources: tuple[Source, ...]
    messages: tuple[Message, ...]
    response_schema: str
    first_request_id: str = ""
    """Of the same request's attempt 0; empty in attempt 0 itself."""

    def to_row(self) -> dict[str, Any]:
        return {**asdict(self), "sources": [asdict(source) for source in self.sources]}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **row,
                "sources": tuple(Source(**source) for source in row["sources"]),
                "messages": tuple(Message(role=turn["role"], content=turn["content"]) for turn in row["messages"]),
            }
        )


def request_id(teacher: Mapping[str, Any], messages: Sequence[Message], schema: Mapping[str, Any], attempt: int) -> str:
    """Hash of all that decides a reply: ``teacher`` are its settings without ``compute``."""
    return digest([dict(teacher), list(messages), dict(schema), attempt])[:24]


def schema_text(schema: Mapping[str, Any]) -> str:
    """A JSON schema as it travels in a table: one string, since Arrow would merge unequal structs."""
    return json.dumps(schema, sort_keys=True, separators=(",", ":"))


def shorten(source: Source, budget: int, count_tokens: CountTokens) -> Source | None:
    """``source`` with at most ``budget`` tokens of text, cut after a sentence or a line; None when nothing fits.

    Code, tables and formulas are cut after a line, prose after a sentence: never inside a row or a number.
    """
    if count_tokens(source.text) <= budget:
        return source
    ends = _ends(source)
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(source.text[: ends[middle - 1]]) <= budget:
            low = middle
        else:
            high = middle - 1
    return Source(**{**asdict(source), "text": source.text[: ends[low - 1]]}) if low else None


def _ends(source: Source) -> list[int]:
    if source.kind in ("prose", "caption", "footnote"):
        return [end for _, end in sentence_spans(source.text)]
    return [position for position, character in enumerate(source.text) if character == "\n"]

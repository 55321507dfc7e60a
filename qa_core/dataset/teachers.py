"""Teachers propose question/answer pairs for one chunk; what they propose is checked elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qa_core.config import GenerateQASettings
from qa_core.config import TemplateTeacher as TemplateTeacherSettings
from qa_core.dataset.template import RULES
from qa_core.dataset.template.sentences import Statement, statements

_UNASKABLE = re.compile(r"[$\\\[\]<>|*]")
"""Formulas and markup: fine in an answer, hard to ask aloud."""
_DEFINITE = re.compile(
    r"^(?:[a-z][^,]*, )?(?:why|how|what|to what value|by how much|how many [^,]*?)(?: happens)? "
    r"(?:if|when|is|are|can|cannot|must|may|should|would|could|will|does|do|did|has|have|was|were) the "
    r"(?!(?:[\w-]+ ){1,4}(?:of|that|which|in|for|between) )"
    r"|\b(?:between|and|with|from) the [\w-]+(?: and\b|$)"
    r"| (?:do|does|can|is|must) (?:each|every) [\w-]+ [\w-]+$"
)
"""Speaks of *the* something that only the paper's topic makes clear."""
_BROAD_TERM = re.compile(r"what (?:is|are) (?:an? )?[a-z]+")
"""One everyday word, such as *a term*, means something else in the next paper."""

_SHORT_REASON = re.compile(r"why(?: [^ ]+){1,6}")
"""So few words after *why* seldom name what they are about."""


@dataclass(frozen=True)
class Evidence:
    """A span of the document, in Unicode code points: ``text == document[start_char:end_char]``."""

    chunk_id: str
    text: str
    start_char: int
    end_char: int


@dataclass(frozen=True)
class Proposal:
    """One question with its answer, before any check."""

    doc_id: str
    chunk_ids: tuple[str, ...]
    question_type: str
    question: str
    answer: str
    evidence: tuple[Evidence, ...]


def raw_response(question: str, answer: str) -> str:
    """What is kept of a proposal that is rejected."""
    return json.dumps({"question": question, "answer": answer}, ensure_ascii=False)


class Teacher(Protocol):
    """Anything that reads a chunk and proposes."""

    name: str

    def propose(self, chunk: dict[str, Any]) -> list[Proposal]:
        """Proposals for one row of ``CHUNKS``; the same for the same row, whatever came before it."""
        ...


def build_teacher(settings: GenerateQASettings, seed: int) -> Teacher:
    """The teacher that ``settings.teacher`` describes."""
    return TemplateTeacher(settings.teacher, settings.question_types, seed)


class TemplateTeacher:
    """Puts the chunk's own sentences into question frames; needs no model."""

    name = "template"

    def __init__(self, settings: TemplateTeacherSettings, question_types: Sequence[str], seed: int) -> None:
        self.settings = settings
        self.question_types = tuple(question_types)
        self.seed = seed

    def propose(self, chunk: dict[str, Any]) -> list[Proposal]:
        if chunk["kind"] not in ("prose", "list"):
            return []
        drafts: dict[str, list[Proposal]] = {kind: [] for kind in self.question_types}
        for statement in statements(chunk["text"]):
            for kind, queue in drafts.items():
                questions = (question for question in RULES[kind](statement) if not _UNASKABLE.search(question))
                queue += [
                    _proposal(chunk, kind, _in_full(question, chunk["title"]), statement) for question in questions
                ]
        return self._choose(drafts)

    def _choose(self, drafts: dict[str, list[Proposal]]) -> list[Proposal]:
        """At most ``questions_per_chunk``, taken in turn from the types, within a type in seeded order."""
        turns = [
            (turn, rank, draft)
            for rank, queue in enumerate(drafts.values())
            for turn, draft in enumerate(sorted(queue, key=self._draw))
        ]
        return [draft for *_, draft in sorted(turns, key=lambda entry: entry[:2])[: self.settings.questions_per_chunk]]

    def _draw(self, draft: Proposal) -> str:
        # A hash of the content, so that neither the order of chunks nor the number of workers matters.
        return hashlib.sha256("\0".join([str(self.seed), *draft.chunk_ids, draft.question]).encode()).hexdigest()


def _proposal(chunk: dict[str, Any], kind: str, question: str, statement: Statement) -> Proposal:
    start, end = statement.start, statement.end
    offset = chunk["start_char"]
    evidence = Evidence(chunk["chunk_id"], chunk["text"][start:end], offset + start, offset + end)
    return Proposal(chunk["doc_id"], (chunk["chunk_id"],), kind, question, statement.answer, (evidence,))


def _in_full(question: str, title: str) -> str:
    """``question`` with its capital letter and question mark and, where it needs one, the paper's topic."""
    if _DEFINITE.search(question) or _BROAD_TERM.fullmatch(question) or _SHORT_REASON.fullmatch(question):
        question = f"in the context of {title.split(': ')[0]}, {question}"
    return f"{question[0].upper()}{question[1:]}?"

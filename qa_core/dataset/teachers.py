"""Teachers propose question/answer pairs for one chunk; what they propose is checked elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qa_core.config import GenerateQASettings
from qa_core.config import TemplateTeacher as TemplateTeacherSettings
from qa_core.corpus.sentences import sentence_spans
from qa_core.dataset.clauses import decapitalise
from qa_core.dataset.question_rules import RULES, Statement

_UNASKABLE = re.compile(r"[$\\\[\]<>|*]")
"""Formulas and markup: fine in an answer, hard to ask aloud."""
_ONE_SENTENCE = re.compile(r"[A-Z](?:(?![\w)]{2}\. [a-z]).)*\.$")
_LIST_MARKER = re.compile(r"(?:[-*+]|\d+[.)])\s+")
_CITATION = re.compile(r"\s*\[\d+\](?:,\s*\[\d+\])*")
_UNREADABLE = re.compile(r"\$\$|```|\n\s*\||!\[|\]\(|<[a-z/]")
_POINTS_AWAY = re.compile(
    r"\b(?:Table|Figure|Fig\.|Equation|Eq\.|Section|Algorithm|Listing|Appendix)\s+\d|\b(?:shown|listed|described|given|see) "
    r"(?:above|below)|\b(?:above|below)[.,)]|\bthe (?:above|following|former|latter)\b|\bas follows\b|\b[Tt](?:his|hese) [a-z]"
)
_STARTS_WITH_STAND_IN = re.compile(
    r"(?:It|Its|They|Their|This|These|Those|That|Such|There|Here|He|She|We|Our|You|Both|Neither|Either|Another|Others?|"
    r"The (?:first|second|third|last|other|two|three|latter|former|same|rest|sum|result|remaining)|"
    r"For example|For instance|Suppose|Consider|Let|Assume)\b"
)
_CONCLUDES = re.compile(
    r"^(?:Therefore|Thus|Hence|Consequently|Accordingly)\b|^[^,;:]+ (?:therefore|thus|hence|consequently) "
)
_DEFINITE = re.compile(
    r"^(?:[a-z][^,]*, )?(?:why|how|what|to what value|by how much|how many [^,]*?)(?: happens)? "
    r"(?:if|when|is|are|can|cannot|must|may|should|would|could|will|does|do|did|has|have|was|were) the "
    r"(?!(?:[\w-]+ ){1,4}(?:of|that|which|in|for|between|with|from|at) )|\b(?:between|and|with|from) the [\w-]+(?: and\b|$)|"
    r" (?:do|does|can|is|must) (?:each|every) [\w-]+ [\w-]+$"
)
_BROAD_TERM = re.compile(r"what (?:is|are) (?:an? )?[a-z]+")
"""One everyday word, such as *a term*, means something else in the next paper."""


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
        drafts = [draft for sentence in _sentences(chunk["text"]) for draft in self._ask(chunk, sentence)]
        return self._choose(drafts)

    def _ask(self, chunk: dict[str, Any], sentence: _Sentence) -> Iterator[Proposal]:
        text = decapitalise(sentence.text.rstrip("."), chunk["text"])
        if text is None:
            return
        statement = Statement(text, chunk["text"], sentence.follows)
        for question_type in self.question_types:
            for question in RULES[question_type](statement):
                if not _UNASKABLE.search(question):
                    yield _proposal(chunk, question_type, _finish(question, chunk["title"]), sentence)

    def _choose(self, drafts: list[Proposal]) -> list[Proposal]:
        """At most ``questions_per_chunk``, taken in turn from the types, within a type in seeded order."""
        by_type = {kind: [draft for draft in drafts if draft.question_type == kind] for kind in self.question_types}
        for queue in by_type.values():
            queue.sort(key=lambda draft: _draw(self.seed, *draft.chunk_ids, draft.question))
        turns = sorted(
            (turn, self.question_types.index(kind), draft)
            for kind, queue in by_type.items()
            for turn, draft in enumerate(queue)
        )
        return [draft for *_, draft in turns[: self.settings.questions_per_chunk]]


@dataclass(frozen=True)
class _Sentence:
    """A usable sentence: ``text`` is cleaned for asking, the span is the raw one in the chunk."""

    text: str
    start: int
    end: int
    answer: str
    follows: bool = False
    """Whether its span and answer begin with the sentence before it."""


def _sentences(text: str) -> Iterator[_Sentence]:
    """Sentences of a chunk that can be understood without the rest of it."""
    before: _Sentence | None = None
    for start, end in sentence_spans(text):
        sentence = _clean(text, start, end)
        if sentence is not None and _CONCLUDES.search(sentence.text):
            sentence = _joined(before, sentence, text)
        if sentence is not None and not _STARTS_WITH_STAND_IN.match(sentence.text):
            yield sentence
        before = _clean(text, start, end)


def _clean(text: str, start: int, end: int) -> _Sentence | None:
    raw = text[start:end]
    if marker := _LIST_MARKER.match(raw):
        start, raw = start + marker.end(), raw[marker.end() :]
    answer = " ".join(_CITATION.sub("", raw).replace("**", "").split())
    if not _ONE_SENTENCE.match(answer) or _UNREADABLE.search(raw) or _POINTS_AWAY.search(answer):
        return None
    return _Sentence(answer, start, end, answer)


def _joined(before: _Sentence | None, sentence: _Sentence, text: str) -> _Sentence | None:
    """A conclusion together with the sentence it is drawn from; None without one in the same paragraph."""
    if before is None or "\n\n" in text[before.end : sentence.start] or _STARTS_WITH_STAND_IN.match(before.text):
        return None
    conclusion = re.sub(
        r"^(?:Therefore|Thus|Hence|Consequently|Accordingly),? (\w)", lambda m: m[1].upper(), sentence.text
    )
    return _Sentence(conclusion, before.start, sentence.end, f"{before.answer} {sentence.answer}", follows=True)


def _proposal(chunk: dict[str, Any], question_type: str, question: str, sentence: _Sentence) -> Proposal:
    raw = chunk["text"][sentence.start : sentence.end]
    offset = chunk["start_char"]
    evidence = Evidence(chunk["chunk_id"], raw, offset + sentence.start, offset + sentence.end)
    return Proposal(chunk["doc_id"], (chunk["chunk_id"],), question_type, question, sentence.answer, (evidence,))


def _finish(question: str, title: str) -> str:
    """Capital letter, question mark and, where the question speaks of *the* something, the paper's topic."""
    if _DEFINITE.search(question) or _BROAD_TERM.fullmatch(question):
        question = f"in the context of {title.split(': ')[0]}, {question}"
    return question[0].upper() + question[1:] + "?"


def _draw(seed: int, *parts: str) -> str:
    return hashlib.sha256("\0".join([str(seed), *parts]).encode()).hexdigest()

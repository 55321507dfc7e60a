"""What the tests of the rules ask with."""

from __future__ import annotations

import json
from typing import Any

from qa_core.dataset.requests import Request, Source
from qa_core.dataset.template.rules import questions
from qa_core.dataset.template.sentences import statements
from qa_core.dataset.template.teacher import TemplateTeacher

TITLE = "Raft Consensus: Terms and Elections"


def source(text: str, kind: str = "prose", title: str = TITLE) -> Source:
    return Source(
        chunk_id=f"chunk of {title}", doc_id=title, title=title, kind=kind, prefix=title, start_char=100, text=text
    )


def request(kind: str, *sources: Source, count: int = 50, attempt: int = 0) -> Request:
    return Request("r1", kind, attempt, count, sources, (), "")


def pairs(asked: Request, seed: int = 17) -> list[dict[str, Any]]:
    """What the teacher replies to ``asked``."""
    return json.loads(TemplateTeacher(seed).reply(asked))["pairs"]


def bare(kind: str, text: str) -> list[str]:
    """The questions of one type about ``text`` before they get capital letter, topic and question mark."""
    return [
        question for statement in statements(text, TITLE) for found, question in questions(statement) if found == kind
    ]

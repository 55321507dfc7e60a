"""Sources, requests and evidence for the tests of the checks."""

from __future__ import annotations

from qa_core.dataset.checks.evidence import Evidence, locate
from qa_core.dataset.proposals import Quote
from qa_core.dataset.requests import Request, Source


def source(text: str, number: int = 1, **changes: object) -> Source:
    """Passage ``number`` of paper ``number``; its text begins at character 100."""
    fields = {
        "chunk_id": f"c{number}", "doc_id": f"d{number}", "title": "Paged Caches", "kind": "prose", "prefix": "",
        "start_char": 100, "text": text,
    }  # fmt: skip
    return Source(**{**fields, **changes})  # type: ignore[arg-type]


def request(question_type: str, *sources: Source) -> Request:
    return Request("r1", question_type, 0, 3, sources, (), "{}")


def spans(*quotes: str, of: Source) -> list[Evidence]:
    """Quotes that are known to stand in the source."""
    found = locate([Quote(1, quote) for quote in quotes], [of])
    assert isinstance(found, list), found
    return found

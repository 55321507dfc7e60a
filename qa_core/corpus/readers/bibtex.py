"""BibTeX entries that a page carries with it, as lines of a reference list."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ENTRY = re.compile(r"@[A-Za-z]+\s*+\{\s*+([^\s,{}]++)\s*+,")
_FIELD = re.compile(r"([A-Za-z][\w-]*+)\s*+=\s*+(?:\"([^\"]*+)\"|(\d+)|(\{))")
_BRACE = re.compile(r"[{}]")
_SHOWN = ("title", "journal", "booktitle", "publisher", "school", "institution", "volume", "pages", "year", "url")


def references(bibtex: str) -> Iterator[tuple[str, int, int]]:
    """Each entry as "[key] Authors. Title. Journal, volume, pages, year.", with where it stands in ``bibtex``."""
    entries = list(_ENTRY.finditer(bibtex))
    for entry, following in zip(entries, [*entries[1:], None], strict=True):
        bound = following.start() if following else len(bibtex)
        fields, end = _fields(bibtex, entry.end(), bound)
        authors = re.sub(r"\s+and\s+", " and ", fields.get("author", fields.get("editor", "")))
        parts = [authors, *(fields.get(name, "") for name in _SHOWN)]
        words = ". ".join(part.rstrip(".") for part in parts if part)
        yield f"[{entry[1]}] {words}", entry.start(), end


def _fields(bibtex: str, start: int, bound: int) -> tuple[dict[str, str], int]:
    """The fields of one entry and where it ends."""
    fields: dict[str, str] = {}
    while match := _FIELD.search(bibtex, start, bound):
        start = match.end()
        value = match[2] or match[3] or ""
        if match[4]:
            start = _closing_brace(bibtex, start, bound)
            value = bibtex[match.end() : start - 1]
        fields.setdefault(match[1].lower(), " ".join(value.replace("{", "").replace("}", "").split()))
    closing = bibtex.find("}", start, bound)
    return fields, closing + 1 if closing >= 0 else start


def _closing_brace(text: str, start: int, bound: int) -> int:
    """Behind the brace that closes the one before ``start``, or ``bound``."""
    depth = 1
    for brace in _BRACE.finditer(text, start, bound):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.end()
    return bound

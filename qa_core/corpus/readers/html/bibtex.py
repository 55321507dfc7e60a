"""BibTeX entries that a page carries with it, as lines of a reference list."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qa_core.corpus.readers.latex.blocks import LatexBlocks
from qa_core.corpus.readers.latex.macros import Shorthands
from qa_core.corpus.readers.latex.tokens import Tokens

_ENTRY = re.compile(r"@[A-Za-z]+\s*+\{\s*+([^\s,{}]++)\s*+,")
_FIELD = re.compile(r"([A-Za-z][\w-]*+)\s*+=\s*+(?:\"([^\"]*+)\"|(\d+)|(\{))")
_BRACE = re.compile(r"[{}]")
_MAX_LATEX = 2_000
"""Characters of a field; a longer one is no name and no title."""
_SHOWN = ("title", "journal", "booktitle", "publisher", "school", "institution", "volume", "pages", "year", "url")


def references(bibtex: str) -> Iterator[tuple[str, int, int]]:
    """Each entry as "[key] Authors. Title. Journal, volume, pages, year.", with where it stands in ``bibtex``."""
    entries = list(_ENTRY.finditer(bibtex))
    bounds = [*(entry.start() for entry in entries[1:]), len(bibtex)]
    for entry, bound in zip(entries, bounds, strict=False):
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
        fields.setdefault(match[1].lower(), _plain(value))
    closing = bibtex.find("}", start, bound)
    return fields, closing + 1 if closing >= 0 else start


def _plain(value: str) -> str:
    """Without the braces that keep capitals, and with accents as letters."""
    if "\\" in value and len(value) <= _MAX_LATEX:
        tokens = Tokens(value)
        return LatexBlocks(tokens, Shorthands(Tokens("")), {}).words(0, len(tokens.all))
    return " ".join(value.replace("{", "").replace("}", "").split())


def _closing_brace(text: str, start: int, bound: int) -> int:
    """Behind the brace that closes the one before ``start``, or ``bound``."""
    depth = 1
    for brace in _BRACE.finditer(text, start, bound):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.end()
    return bound

"""What a LaTeX paper says of itself: title, authors, date, and where its body is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from qa_core.corpus.readers.latex.blocks import LatexBlocks
from qa_core.corpus.readers.latex.commands import without_marks
from qa_core.corpus.readers.latex.tokens import Tokens

_TITLES = {r"\title", r"\icmltitle", r"\Title"}
_AUTHORS = {r"\author", r"\icmlauthor", r"\Author"}
_ADDRESSES = {r"\affil", r"\affiliation", r"\institute", r"\address", r"\email", r"\keywords"}
"""Printed, though they may stand before the body."""
_DATES = {r"\date", r"\acmYear", r"\copyrightyear", r"\pubyear", r"\acmConference"}
_BETWEEN_AUTHORS = {r"\and", r"\And", r"\AND", r"\quad", r"\qquad"}
_NOT_NAMES = {
    r"\thanks",
    r"\footnote",
    r"\footnotemark",
    r"\inst",
    r"\textsuperscript",
    r"\orcidID",
    r"\email",
    r"\texttt",
}
_STATED = _TITLES | _AUTHORS | _DATES | _ADDRESSES
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_MARKS = re.compile(r"[\d*†‡§¶,]+$")
_NO_NAME = re.compile(
    r"@|\d|\b(?:universit|institut|department|school|college|laborator|research|inc\b)", re.IGNORECASE
)


@dataclass
class Front:
    title: str = ""
    title_span: tuple[int, int] = (0, 0)
    authors: tuple[str, ...] = ()
    year: int | None = None
    head: list[tuple[int, int]] = field(default_factory=list)
    """Authors, addresses and date: token ranges, as are the next two."""
    preamble_abstracts: list[tuple[int, int]] = field(default_factory=list)
    body: tuple[int, int] = (0, 0)


def read_front(blocks: LatexBlocks) -> Front:
    tokens = blocks.tokens
    front = Front(body=_body(tokens))
    authors: list[str] = []
    i = 0
    while i < len(tokens.all):
        token = tokens.all[i]
        command = token.text.rstrip("*") if token.kind == "word" else ""
        group = blocks.argument(i + 1) if command in _STATED else None
        if group is not None:
            if command in _TITLES and not front.title:
                front.title = without_marks(blocks.words(*group))
                front.title_span = (token.start, tokens.all[group[1]].end)
            elif command in _AUTHORS:
                front.head.append(group)
                authors += _names(blocks, *group)
            elif command in _ADDRESSES and i < front.body[0]:
                front.head.append(group)
            elif command in _DATES and front.year is None:
                year = _YEAR.search(tokens.slice(*group))
                if year:
                    front.year = int(year[0])
                    front.head += [group] if command == r"\date" else []
            i = group[1]
        elif i < front.body[0] and (token.name == "abstract" or command == r"\abstract"):
            end = tokens.close[i] if token.kind == "begin" else (tokens.group(i + 1) or (0, -1))[1]
            if end > i:
                front.preamble_abstracts.append((i, end))
                i = end
        i += 1
    front.authors = tuple(dict.fromkeys(authors))
    return front


def _body(tokens: Tokens) -> tuple[int, int]:
    """The tokens of the document environment, or all of a source that is only a part of a paper."""
    for i, token in enumerate(tokens.all):
        if token.kind == "begin" and token.name == "document":
            return i + 1, tokens.close[i] if tokens.close[i] > 0 else len(tokens.all)
    return 0, len(tokens.all)


def _names(blocks: LatexBlocks, first: int, stop: int) -> list[str]:
    """Names stand before the first line break of each part of an author block; below them are addresses."""
    tokens = blocks.tokens
    names: list[str] = []
    parts: list[list[tuple[int, int]]] = [[]]
    ended = False
    i = first
    while i < stop:
        token = tokens.all[i]
        after = max(tokens.close[i], i) + 1
        if token.text in _BETWEEN_AUTHORS:
            parts.append([])
            ended = False
        elif token.kind == "break":
            ended = True
        elif token.text in _NOT_NAMES:
            argument = blocks.argument(i + 1)
            after = argument[1] + 1 if argument else after
        elif token.kind not in ("dollar", "math") and not ended:
            if parts[-1] and parts[-1][-1][1] == i:
                parts[-1][-1] = (parts[-1][-1][0], min(after, stop))
            else:
                parts[-1].append((i, min(after, stop)))
        i = after
    for part in parts:
        line = " ".join(blocks.words(*piece) for piece in part)
        for name in re.split(r",|;|\band\b|&", line):
            name = _MARKS.sub("", name.strip()).strip(" ~^")
            if 2 < len(name) <= 60 and not _NO_NAME.search(name):
                names.append(name)
    return names

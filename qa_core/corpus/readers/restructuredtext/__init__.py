"""reStructuredText, as docutils and Sphinx papers and manuals have it."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from typing import Any

from qa_core.corpus.documents import DocumentRejected, Rendered, SourceMap
from qa_core.corpus.readers.decoding import decode
from qa_core.corpus.readers.restructuredtext import tree
from qa_core.corpus.readers.restructuredtext.blocks import Blocks

_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_RULE = re.compile(r"([^\w\s])\1+[ \t]*")
_ADDRESS = re.compile(r"<[^<>]*>")
_NAME_BREAK = re.compile(r"\s*(?:;|,|\band\b)\s*")


def read(data: bytes) -> Rendered:
    """The document in order; spans count characters of the decoded file."""
    text = decode(data)
    document = tree.parse(text)
    stated = _docinfo(document)
    lines = text.split("\n")
    blocks = Blocks(document, lines)
    try:
        blocks.render(document)
    except RecursionError as error:
        raise DocumentRejected("damaged", "reStructuredText nested too deeply") from error
    if not (markdown := blocks.writer.text()):
        raise DocumentRejected("whitespace_only", "only markup, no text")
    year = _YEAR.search(stated.get("date", "") or stated.get("copyright", ""))
    names = _NAME_BREAK.split(_ADDRESS.sub("", stated.get("author", "")))
    return Rendered(
        markdown,
        blocks.title,
        tuple(" ".join(name.split()) for name in names if name.strip()),
        int(year.group()) if year else None,
        _source_map(lines, blocks),
    )


def _docinfo(document: Any) -> dict[str, str]:
    """The bibliographic fields of field lists that open the document or its first section."""
    from docutils import nodes

    stated: dict[str, str] = {}
    children, entered = list(document.children), False
    while children:
        child = children.pop(0)
        if isinstance(child, nodes.section) and not entered:
            entered, children = True, list(child.children)
        elif isinstance(child, nodes.field_list):
            for field in child.children:
                name, body = field.children[0].astext().lower(), field.children[1]
                people = ", ".join(part.astext() for part in body.findall(nodes.paragraph))
                key = "author" if name == "authors" else name
                stated[key] = ", ".join(filter(None, (stated.get(key, ""), people)))
        elif not isinstance(child, (nodes.comment, nodes.title, nodes.substitution_definition, nodes.target)):
            break
    return stated


def _source_map(lines: list[str], blocks: Blocks) -> SourceMap:
    """Lines to characters: a block ends where the next element begins, without the blank lines between.

    Docutils does not say exactly where comments and substitutions begin, but they do with two dots.
    """
    offsets = [0, *accumulate(len(line) + 1 for line in lines)]
    marks = blocks.writer.source_map()
    explicit = {i + 1 for i in range(1, len(lines)) if lines[i].startswith("..") and not lines[i - 1].strip()}
    boundaries = sorted({*blocks.boundaries, *explicit, len(lines) + 1})
    starts, ends = [], []
    for first in marks.source_starts:
        after = boundaries[bisect_right(boundaries, first)]
        if after in blocks.titles and after - 1 > first and _RULE.fullmatch(lines[after - 2]):
            after -= 1
        while after - 1 > first and not lines[after - 2].strip():
            after -= 1
        starts.append(offsets[first - 1])
        ends.append(offsets[after - 1] - 1)
    return SourceMap("character", marks.text_starts, marks.text_ends, tuple(starts), tuple(ends))

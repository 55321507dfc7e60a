"""LaTeX sources of papers; files that they ``\\input`` are not followed."""

from __future__ import annotations

import re

from qa_core.corpus.documents import DocumentRejected, Rendered
from qa_core.corpus.readers.decoding import decode
from qa_core.corpus.readers.latex.blocks import LatexBlocks
from qa_core.corpus.readers.latex.front import Front, read_front
from qa_core.corpus.readers.latex.macros import Shorthands
from qa_core.corpus.readers.latex.tokens import Tokens

_STATEMENT = re.compile(r"\\newtheorem\*?\{([^{}]{1,60})\}(?:\[[^\[\]]{0,60}\])?\{([^{}\\]{1,60})\}")


def read(data: bytes) -> Rendered:
    """Markdown with spans in characters; raises :class:`DocumentRejected` for a source without text."""
    source = decode(data)
    tokens = Tokens(source)
    shorthands = Shorthands(tokens)
    blocks = LatexBlocks(tokens, shorthands, dict(_STATEMENT.findall(source)))
    try:
        front = read_front(blocks)
        _render(blocks, front)
    except RecursionError as error:
        raise DocumentRejected("damaged", "groups nested too deeply") from error
    text = blocks.flow.writer.text()
    if not text:
        raise DocumentRejected("damaged", "the source prints no text")
    return Rendered(text, front.title, front.authors, front.year, blocks.flow.writer.source_map())


def _render(blocks: LatexBlocks, front: Front) -> None:
    flow = blocks.flow
    if front.title:
        flow.writer.heading(1, front.title, *front.title_span)
    for first, stop in front.head:
        blocks.run(first, stop)
        flow.flush()
    flow.settle()
    for first, stop in front.preamble_abstracts:
        blocks.run(first, stop)
        flow.settle()
    blocks.run(*front.body)
    flow.settle()

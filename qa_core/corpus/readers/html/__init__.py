"""HTML pages: research articles on the web and LaTeX papers converted to HTML."""

from __future__ import annotations

import re

from qa_core.corpus.documents import DocumentRejected, Rendered
from qa_core.corpus.readers.decoding import decode
from qa_core.corpus.readers.html.blocks import render_page
from qa_core.corpus.readers.html.events import Page
from qa_core.corpus.readers.html.metadata import read_metadata

_LOOK_AT = 65_536
"""Characters of a file that are looked at to tell HTML from markdown."""
_BEFORE_HTML = re.compile(r"(?:\s++|<!--(?:[^-]|-(?!->))*+-->|<\?xml[^>]*+>)*+")
_HTML_START = re.compile(r"<(?:!doctype\s++html|html|head|body)(?=[\s>])", re.IGNORECASE)


def looks_like_html(text: str) -> bool:
    """Whether a file named as markdown is a whole page of HTML; a markdown file may well begin with a ``<div>``."""
    head = text[:_LOOK_AT].lstrip("\ufeff")
    before = _BEFORE_HTML.match(head)
    return bool(before and _HTML_START.match(head, before.end()))


def read(data: bytes) -> Rendered:
    """Markdown with spans in characters; raises :class:`DocumentRejected` for a page without text."""
    page = Page(decode(data))
    try:
        writer = render_page(page)
    except RecursionError as error:
        raise DocumentRejected("damaged", "LaTeX nested too deeply in a bibliography") from error
    text = writer.text()
    if not text:
        raise DocumentRejected("damaged", "the page holds no text outside of scripts and navigation")
    title, authors, year = read_metadata(page)
    return Rendered(text, title, authors, year, writer.source_map())

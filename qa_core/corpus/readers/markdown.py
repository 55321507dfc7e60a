"""Markdown files: the text is the file, and the front matter says who wrote it and when."""

from __future__ import annotations

from qa_core.corpus import front_matter
from qa_core.corpus.documents import Rendered
from qa_core.corpus.readers.decoding import decode


def read(data: bytes) -> Rendered:
    return stated(decode(data))


def stated(text: str) -> Rendered:
    """``text`` with title, authors and year from the YAML at its top."""
    return Rendered(text, *front_matter.stated(front_matter.opening_yaml(text)))

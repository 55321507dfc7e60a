"""One module a file format: bytes to markdown with source spans."""

from __future__ import annotations

import importlib
from pathlib import PurePosixPath

from qa_core.corpus.documents import Rendered

FORMATS = {
    ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html", ".xhtml": "html", ".tex": "latex",
    ".rst": "restructuredtext", ".ipynb": "notebook", ".pdf": "pdf",
}  # fmt: skip
"""File name endings and the module of this package that reads such files."""


def format_of(source: str) -> str:
    """Format by the ending of the file's name; empty for a file that is no paper."""
    return FORMATS.get(PurePosixPath(source).suffix.lower(), "")


def render(data: bytes, file_format: str) -> Rendered:
    """``data`` as markdown; raises :class:`DocumentRejected`.

    The module is imported only now: most runs see one format, and the others' libraries are optional.
    """
    rendered: Rendered = importlib.import_module(f"qa_core.corpus.readers.{file_format}").read(data)
    return rendered

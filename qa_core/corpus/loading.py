"""A paper's file to a document: small files whole, very large markdown a window at a time."""

from __future__ import annotations

import codecs
import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from qa_core.corpus.documents import Document, DocumentRejected, RejectionReason, Rendered
from qa_core.corpus.markdown import parse_blocks
from qa_core.corpus.markdown_marks import MAX_HEADING_CHARS
from qa_core.corpus.papers import FileChanged, PaperFile
from qa_core.corpus.readers import format_of, render
from qa_core.corpus.readers.decoding import not_utf8, require_text
from qa_core.corpus.readers.html import looks_like_html
from qa_core.corpus.readers.markdown import stated

MAX_BYTES = 64 * 1024**2
"""Of a file that has to be read whole; far above any paper."""
WINDOW_BYTES = 1024**2
"""Longer markdown is read in stretches of this size, so that one file cannot exhaust a worker."""
_SNIFFED_BYTES = 1 << 14
_TITLE_CHARS = (1 << 11, 1 << 17)
"""Where a title is looked for: nearly always it is near the top, and a second reading of the whole would cost time."""


def load_document(paper: PaperFile) -> Document:
    """Read one paper; raises :class:`DocumentRejected`, which iterating ``rest`` of a very large one may do, too."""
    try:
        with paper.open() as stream:
            data = stream.read(WINDOW_BYTES + 1)
            if len(data) > WINDOW_BYTES:
                if paper.format == "markdown" and not _is_html(data):
                    return _large_document(paper)
                data += stream.read(MAX_BYTES + 1 - len(data))
                if len(data) > MAX_BYTES:
                    raise DocumentRejected("too_large", f"more than {MAX_BYTES // 1024**2} MiB; split the file")
    except OSError as error:
        raise _unreadable(error) from error
    return read_document(paper.source, data)


def read_document(source: str, data: bytes) -> Document:
    """The document in ``data``; raises :class:`DocumentRejected`."""
    file_format = format_of(source) or "markdown"
    if file_format == "markdown" and _is_html(data):
        file_format = "html"
    rendered = render(data, file_format)
    if not rendered.text.strip():
        raise DocumentRejected("empty", f"no text in {len(data)} bytes of {file_format}")
    return _document(source, hashlib.sha256(data).hexdigest(), file_format, rendered)


def _document(source: str, digest: str, file_format: str, rendered: Rendered) -> Document:
    return Document(
        doc_id=hashlib.sha256(f"{source}\0{digest}".encode()).hexdigest()[:16],
        source=source,
        format=file_format,
        title=(rendered.title or _first_heading(rendered.text) or _file_title(source))[:MAX_HEADING_CHARS],
        text=rendered.text,
        authors=rendered.authors,
        year=rendered.year,
        source_map=rendered.source_map,
    )


def _first_heading(text: str) -> str:
    head = text[: _TITLE_CHARS[0]]
    # A comment or front matter that the short search would cut in two could show a heading that is none.
    sizes = _TITLE_CHARS[1:] if head.startswith("---") or "<!--" in head else _TITLE_CHARS
    for size in sizes:
        whole_lines = text[: max(text.rfind("\n", 0, size), 0) or size]
        headings = (block for block in parse_blocks(whole_lines) if block.kind == "heading" and block.section_path)
        if heading := next(headings, None):
            return heading.section_path[-1]
    return ""


def _file_title(source: str) -> str:
    return PurePosixPath(source).stem.replace("_", " ").replace("-", " ").strip() or source


def _is_html(data: bytes) -> bool:
    return looks_like_html(data[:_SNIFFED_BYTES].decode("utf-8-sig", "replace"))


def _large_document(paper: PaperFile) -> Document:
    """Its digest takes one reading and its text another, which notices when the file was changed between them."""
    digest = paper.digest()
    windows = _windows(paper, digest)
    return replace(_document(paper.source, digest, "markdown", stated(next(windows))), rest=windows)


def _windows(paper: PaperFile, digest: str) -> Iterator[str]:
    checksum, offset = hashlib.sha256(), 0
    decoder, line_breaks = codecs.getincrementaldecoder("utf-8-sig")(), io.IncrementalNewlineDecoder(None, True)
    try:
        with paper.open() as stream:
            while block := stream.read(WINDOW_BYTES):
                require_text(block) if offset == 0 else _require_no_nul(block, offset)
                checksum.update(block)
                waiting = len(decoder.getstate()[0])
                try:
                    text = decoder.decode(block)
                except UnicodeDecodeError as error:
                    raise not_utf8(error.object[error.start], offset - waiting + error.start) from error
                offset += len(block)
                yield line_breaks.decode(text)
    except OSError as error:
        raise _unreadable(error) from error
    if unfinished := decoder.getstate()[0]:
        raise not_utf8(unfinished[0], offset - len(unfinished))
    yield line_breaks.decode("", final=True)
    if checksum.hexdigest() != digest:
        raise DocumentRejected("changed_while_read", "two readings gave different bytes; run again")


def _require_no_nul(block: bytes, offset: int) -> None:
    if (position := block.find(b"\0")) >= 0:
        raise DocumentRejected("binary", f"NUL byte at offset {offset + position}")


def _unreadable(error: OSError) -> DocumentRejected:
    reason: RejectionReason = "changed_while_read" if isinstance(error, FileChanged) else "unreadable"
    return DocumentRejected(reason, error.strerror or str(error))

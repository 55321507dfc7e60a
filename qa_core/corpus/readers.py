"""Papers in a folder to documents: what is found, what is opened, and why a file is refused.

A file is read only when it is a regular file inside the folder: a FIFO would block for ever, and a link could carry
any file of the machine into a data set that is then published.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.fs as pafs

from qa_core.corpus.markdown import Block, parse_blocks, plain_heading
from qa_core.errors import UserError

SUFFIXES = (".md", ".markdown")
MAX_BYTES = 64 * 1024**2
"""Far above any paper; a larger file is a mistake that would only exhaust a worker."""

RejectionReason = Literal["empty", "whitespace_only", "not_utf8", "binary", "unreadable"]

_FRONT_MATTER_TITLE = re.compile(r"^title[ \t]*:[ \t]*(?P<title>[^\n]*)", re.MULTILINE | re.IGNORECASE)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Document:
    """A paper as text."""

    doc_id: str
    """Content hash of source and text."""
    source: str
    """Path below the papers folder, with forward slashes."""
    title: str
    text: str
    """Without byte order mark, every line break as ``\\n``: what ``Path.read_text("utf-8-sig")`` gives."""


class DocumentRejected(Exception):
    """A file that is not a document, with the reason that goes to ``chunks_rejected``."""

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class PaperFile:
    """A file that is named like a paper."""

    source: str
    """Path below the papers folder, with forward slashes."""
    root: str
    """The papers folder: an absolute local path or a URI."""
    path: str
    """Of the file, in the folder's filesystem."""

    def read(self) -> bytes:
        """The file's bytes; :class:`OSError` when it is not a readable regular file inside the folder."""
        if "://" in self.root:
            filesystem, _ = pafs.FileSystem.from_uri(self.root)
            with filesystem.open_input_stream(self.path, compression=None) as stream:
                return _within_limit(stream.read(MAX_BYTES + 1))
        return _read_regular_file(self.path, self.root)


def find_papers(folder: str) -> list[PaperFile]:
    """Files in ``folder`` (a path or pyarrow URI) and below that are named like papers, sorted by ``source``.

    Hidden files and folders are passed over. A linked folder is not entered: it is listed, and reading it fails.
    Raises :class:`UserError` when there is nothing to read.
    """
    url = urlparse(folder)
    if "://" in folder and url.scheme != "file":
        files, seen = _find_remote(folder)
    else:
        files, seen = _find_local(Path(unquote(url.path) if url.scheme == "file" else folder).expanduser().absolute())
    if not files:
        what = f"holds {seen} files, but none ends in {' or '.join(SUFFIXES)}" if seen else "is empty"
        raise UserError(f"the papers folder {folder} {what}", "Put markdown papers there, or set chunk.papers=FOLDER.")
    return sorted(files, key=lambda file: file.source)


def load_document(paper: PaperFile) -> Document:
    """Read one paper; raises :class:`DocumentRejected`."""
    try:
        data = paper.read()
    except OSError as error:
        raise DocumentRejected("unreadable", error.strerror or str(error)) from error
    return read_document(paper.source, data)


def read_document(source: str, data: bytes) -> Document:
    """The document in ``data``; raises :class:`DocumentRejected`."""
    if not data:
        raise DocumentRejected("empty", "0 bytes")
    if data.startswith(_UTF16_MARKS):
        raise DocumentRejected("not_utf8", "starts with a UTF-16 byte order mark; save it as UTF-8")
    if (position := data.find(b"\0")) >= 0:
        raise DocumentRejected("binary", f"NUL byte at offset {position}")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DocumentRejected("not_utf8", f"byte 0x{data[error.start]:02x} at offset {error.start}") from error
    if not text.strip():
        raise DocumentRejected("whitespace_only", f"{len(data)} bytes of white space")
    doc_id = hashlib.sha256(f"{source}\0{text}".encode()).hexdigest()[:16]
    return Document(doc_id, source, _title(source, text), text)


def _title(source: str, text: str) -> str:
    """Title of the front matter, else the first heading, else the file's name."""
    for block in parse_blocks(text):
        title = _block_title(text, block)
        if title:
            return title
    return PurePosixPath(source).stem.replace("_", " ").replace("-", " ").strip() or source


def _block_title(text: str, block: Block) -> str:
    if block.kind == "heading":
        return block.section_path[-1] if block.section_path else ""
    if block.kind == "front_matter":
        match = _FRONT_MATTER_TITLE.search(text, block.start, block.end)
        # A folded or templated title is left to the first heading.
        if match and not match["title"].startswith((">", "|", "{")):
            return plain_heading(match["title"].strip().strip("\"'"))
    return ""


def _find_local(root: Path) -> tuple[list[PaperFile], int]:
    if not root.exists():
        raise UserError(f"the papers folder {root} does not exist", "Create it, or set chunk.papers=FOLDER.")
    if not root.is_dir():
        raise UserError(f"chunk.papers={root} is a file", "Give the folder that holds the papers.")
    if not os.access(root, os.R_OK | os.X_OK):
        raise UserError(f"the papers folder {root} may not be read", f"Grant access: chmod u+rx {root}")
    files: list[PaperFile] = []
    seen = 0

    def add(path: str) -> None:
        # Names that are not UTF-8 must still fit into a table.
        source = os.fsencode(os.path.relpath(path, root)).decode("utf-8", "replace")
        files.append(PaperFile(source, str(root), path))

    # A folder that cannot be entered is listed like a file, so that it is refused by name and not left out in silence.
    for folder, subfolders, names in os.walk(root, onerror=lambda error: add(error.filename)):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        visible = [name for name in names if not name.startswith(".")]
        seen += len(visible)
        linked = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for name in linked + [name for name in visible if name.lower().endswith(SUFFIXES)]:
            add(os.path.join(folder, name))
    return files, seen


def _find_remote(uri: str) -> tuple[list[PaperFile], int]:
    try:
        filesystem, base = pafs.FileSystem.from_uri(uri)
        infos = filesystem.get_file_info(pafs.FileSelector(base, recursive=True))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UserError(
            f"chunk.papers={uri} cannot be opened: {error}", "Check the address and your access."
        ) from error
    prefix = f"{base.rstrip('/')}/"
    files = [info for info in infos if info.type == pafs.FileType.File]
    visible = [info.path for info in files if "/." not in f"/{info.path.removeprefix(prefix)}"]
    papers = [path for path in visible if path.lower().endswith(SUFFIXES)]
    return [PaperFile(path.removeprefix(prefix), uri, path) for path in papers], len(visible)


def _read_regular_file(path: str, root: str) -> bytes:
    resolved = os.path.realpath(path)
    if not Path(resolved).is_relative_to(os.path.realpath(root)):
        raise OSError(errno.EXDEV, "the link leads out of the papers folder")
    _require_regular(os.lstat(resolved).st_mode)
    # The file may have been replaced since: a link is refused, a FIFO does not block, and the type is asked again.
    descriptor = os.open(resolved, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        _require_regular(os.fstat(descriptor).st_mode)
        return _within_limit(stream.read(MAX_BYTES + 1))


def _require_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "a folder that is a link or cannot be listed")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")


def _within_limit(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise OSError(errno.EFBIG, f"more than {MAX_BYTES} bytes")
    return data
